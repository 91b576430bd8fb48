//! Calls that are given up, anywhere.

use std::{sync::Arc, sync::atomic::Ordering::Relaxed, time::Duration};

use futures_util::future::join_all;
use omnimind_gateway::{
    config::Http2,
    pool::{Errand, Lane, Pool},
};
use tokio::time::{Instant, sleep, timeout};

use crate::{CALL, Dice, call, full, ms, one::one, pool, two::two, until};

/// Gives up calls at random moments: while they wait, connect, send, wait for the head, read the body.
async fn storm(pool: &Arc<Pool>, callers: u64, calls: u64) {
    let tasks = (0..callers).map(|seed| {
        let pool = Arc::clone(pool);
        tokio::spawn(async move {
            let mut dice = Dice(seed + 7);
            for _ in 0..calls {
                let path =
                    ["/", "/slow/1", "/slow/3", "/half", "/close", "/die"][usize::try_from(dice.below(6)).unwrap()];
                let lane =
                    [Lane::Call, Lane::Call, Lane::Errand, Lane::Standing][usize::try_from(dice.below(4)).unwrap()];
                let errand = Errand { lane, repeatable: dice.below(2) == 0 };
                let patience = Duration::from_micros(dice.below(3_000));
                let _ = timeout(patience, call(&pool, path, errand)).await;
            }
        })
    });
    for task in join_all(tasks).await {
        task.unwrap();
    }
}

/// As many as the bar asks, or a sample.
fn calls() -> (u64, u64) {
    if full() { (50, 1_000) } else { (25, 60) }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_place_is_lost_whenever_a_call_is_given_up() {
    let server = one(ms(60_000)).await;
    let pool = pool(&server.url, |terms| {
        terms.pool.max_connections = 5;
        terms.rest = Duration::ZERO;
    });
    let (callers, each) = calls();
    storm(&pool, callers, each).await;
    until("nothing is in use", || pool.report().busy == 0 && pool.report().waiting == 0).await;
    // Calls that failed in a row made it rest; it is taken back step by step.
    let give_up = Instant::now() + Duration::from_secs(5);
    while join_all((0..10).map(|_| call(&pool, "/", CALL))).await.iter().any(Result::is_err) {
        assert!(Instant::now() < give_up, "{:?}", pool.report());
        sleep(ms(10)).await;
    }
    // Every place can be taken at once, and no more than these.
    let before = server.seen.paths.lock().len();
    join_all((0..10).map(|_| call(&pool, "/slow/40", CALL))).await.into_iter().for_each(|said| drop(said.unwrap()));
    assert_eq!(server.seen.paths.lock().len(), before + 10);
    let report = pool.report();
    assert_eq!((report.busy, report.open, report.idle), (0, 5, 5), "{report:?}");
    until("the server has no more open", || server.seen.open.load(Relaxed) == 5).await;
    drop(pool);
    until("nothing is open", || server.seen.open.load(Relaxed) == 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_stream_is_lost_whenever_a_call_is_given_up() {
    let server = two(5, None).await;
    let pool = pool(&server.url, |terms| {
        terms.pool.http2 = Http2::Known;
        terms.pool.max_connections = 2;
    });
    let (callers, each) = calls();
    storm(&pool, callers, each).await;
    until("nothing is in use", || pool.report().busy == 0 && pool.report().waiting == 0).await;
    until("nothing is worked on", || server.seen.in_flight.load(Relaxed) == 0).await;
    join_all((0..20).map(|_| call(&pool, "/slow/40", CALL))).await.into_iter().for_each(|said| drop(said.unwrap()));
    let report = pool.report();
    assert_eq!((report.busy, report.open, report.idle), (0, 2, 2), "{report:?}");
}
