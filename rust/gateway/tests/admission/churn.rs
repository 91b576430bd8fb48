//! Clients that come, take back and go away at random: nothing is left of them.

use std::sync::Arc;

use futures_util::{FutureExt, StreamExt, future::join_all};
use omnimind_gateway::{
    config::Class,
    reply::{Outgoing, Reply},
};
use serde_json::json;

use crate::stage::{As, Stage, is_empty};

/// A small generator of chance, for the same test every time.
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % bound
    }
}

/// One client: comes, waits a random while for its answer, and goes; true if it was answered.
async fn one(stage: &Stage, chance: &mut Chance) -> bool {
    let mut by = As::tenant(["ann", "bob", "cy"][usize::try_from(chance.below(3)).unwrap()]);
    by.class = [Class::Interactive, Class::Normal, Class::Background][usize::try_from(chance.below(3)).unwrap()];
    if chance.below(4) == 0 {
        by = by.meta("omnimind/timeoutMs", json!(1 + chance.below(20)));
    }
    let tool = if chance.below(4) == 0 { "hold" } else { "done" };
    let mut polls = chance.below(12);
    let mut reply = Box::pin(stage.reply(&by, "tools/call", json!({"name": tool, "arguments": {}})));
    let mut flow = loop {
        match reply.as_mut().now_or_never() {
            Some(Reply::Flow { flow, .. }) => break flow,
            Some(_) => return true,
            None if polls == 0 => return false,
            None => polls -= 1,
        }
        tokio::task::yield_now().await;
    };
    loop {
        match flow.next().now_or_never() {
            Some(Some(Outgoing::End { .. }) | None) => return true,
            Some(Some(_)) => {}
            None if polls == 0 => return false,
            None => polls -= 1,
        }
        tokio::task::yield_now().await;
    }
}

/// Answers some of what is held, now and then hangs up, until told to stop.
async fn serve(stage: &Stage, mut chance: Chance) {
    loop {
        for _ in 0..chance.below(8) {
            let held = {
                let mut held = stage.held.lock();
                let len = u64::try_from(held.len()).unwrap();
                (len > 0).then(|| held.swap_remove(usize::try_from(chance.below(len.max(1))).unwrap()))
            };
            let Some((message, line)) = held else { break };
            match chance.below(200) {
                0 => line.hang_up(),
                1 => {}
                _ => line.answer(&message, &crate::stage::result("held")),
            }
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_clients_that_come_and_go_at_random_no_permit_no_place_and_no_id_is_left() {
    const CLIENTS: u64 = 64;
    let clients = if std::env::var_os("OMNIMIND_FULL").is_some() { 1_000_000 } else { 20_000 };
    let stage = Arc::new(Stage::new(json!({"policy": "fixed", "start": 24, "min": 24, "queue": 40})));
    let serving = {
        let stage = Arc::clone(&stage);
        tokio::spawn(async move { serve(&stage, Chance(7)).await })
    };
    let workers = (0..CLIENTS).map(|number| {
        let stage = Arc::clone(&stage);
        tokio::spawn(async move {
            let mut chance = Chance(0x9e37_79b9 + number);
            let mut answered = 0_u64;
            for _ in 0..clients / CLIENTS {
                answered += u64::from(one(&stage, &mut chance).await);
            }
            answered
        })
    });
    let answered: u64 = join_all(workers).await.into_iter().map(Result::unwrap).sum();
    serving.abort();
    assert!(answered > clients / 20 && answered < clients, "both happen: {answered} of {clients} were answered");
    stage.until(is_empty).await;
    let limits = stage.limits();
    let refused: u64 = limits["refused"].as_object().unwrap().values().filter_map(serde_json::Value::as_u64).sum();
    assert!(limits["started"].as_u64().unwrap() > clients / 10 && refused > 0, "{limits}");
    // Zombies go by themselves; then everything is free, and a call finds it so.
    stage.until(|limits| limits["zombies"] == 0 && limits["usable"] == 24).await;
    assert_eq!(stage.call(&As::tenant("dan"), "done").await.status, 200);
}
