//! Waiting for a place.

use std::{sync::Arc, sync::atomic::Ordering::Relaxed};

use futures_util::future::join_all;
use omnimind_gateway::pool::{Errand, Lane, Unanswered};
use tokio::time::{Instant, sleep};

use crate::{CALL, call, ms, one::one, pool, request, until};

#[tokio::test]
async fn who_came_first_is_served_first() {
    let server = one(ms(60_000)).await;
    let pool = pool(&server.url, |terms| terms.pool.max_connections = 2);
    let calls: Vec<_> = (0..30)
        .map(|n| {
            let pool = Arc::clone(&pool);
            async move { call(&pool, &format!("/slow/10?{n}"), CALL).await.unwrap() }
        })
        .collect();
    let mut tasks = Vec::new();
    for one in calls {
        tasks.push(tokio::spawn(one));
        tokio::task::yield_now().await;
    }
    until("28 wait", || pool.report().waiting == 28).await;
    join_all(tasks).await;
    let order: Vec<usize> =
        server.seen.paths.lock().iter().map(|path| path.split_once('?').unwrap().1.parse().unwrap()).collect();
    // Two are worked on at once: their requests may arrive in either order.
    assert!(order.iter().enumerate().all(|(place, n)| place.abs_diff(*n) <= 1), "{order:?}");
    assert_eq!(pool.report().waited, 28);
}

#[tokio::test]
async fn who_waits_too_long_is_refused_and_nothing_was_sent() {
    let server = one(ms(60_000)).await;
    let pool = pool(&server.url, |terms| {
        terms.pool.max_connections = 1;
        terms.pool.wait_ms = 100;
    });
    let held = pool.send(request("/half"), CALL).await.unwrap();
    let begun = Instant::now();
    let refused = call(&pool, "/late", CALL).await.unwrap_err();
    let waited = begun.elapsed();
    assert!((ms(100)..ms(200)).contains(&waited), "{waited:?}");
    let Unanswered::Full(why, wait) = refused else { panic!("a refusal is expected") };
    assert!(why.contains("all of its 1 connections") && wait >= ms(1_001), "{why} {wait:?}");
    assert_eq!((pool.report().refused, pool.report().waiting), (1, 0));
    drop(held);
    call(&pool, "/", CALL).await.unwrap();
    assert!(!server.seen.paths.lock().contains(&"/late".to_owned()));
}

#[tokio::test]
async fn who_gives_up_waiting_is_passed_over() {
    let server = one(ms(60_000)).await;
    let pool = pool(&server.url, |terms| terms.pool.max_connections = 1);
    let held = pool.send(request("/half"), CALL).await.unwrap();
    let waiting: Vec<_> = (0..300)
        .map(|_| {
            let pool = Arc::clone(&pool);
            tokio::spawn(async move { call(&pool, "/gone", CALL).await.map(drop) })
        })
        .collect();
    until("all wait", || pool.report().waiting == 300).await;
    let last = tokio::spawn({
        let pool = Arc::clone(&pool);
        async move { call(&pool, "/last", CALL).await.unwrap() }
    });
    until("one more", || pool.report().waiting == 301).await;
    waiting.iter().for_each(tokio::task::JoinHandle::abort);
    until("they are gone", || pool.report().waiting == 1).await;
    drop(held);
    assert_eq!(last.await.unwrap(), "/last");
    assert_eq!(*server.seen.paths.lock(), ["/half", "/last"]);
}

#[tokio::test]
async fn short_messages_and_lasting_streams_are_not_kept_out_by_calls() {
    let server = one(ms(60_000)).await;
    let pool = pool(&server.url, |terms| {
        terms.pool.max_connections = 2;
        terms.pool.wait_ms = 300;
    });
    let calls = [pool.send(request("/half"), CALL).await.unwrap(), pool.send(request("/half"), CALL).await.unwrap()];
    let word = Errand { lane: Lane::Errand, repeatable: false };
    join_all((0..40).map(|_| call(&pool, "/slow/5", word))).await.into_iter().for_each(|said| drop(said.unwrap()));
    assert_eq!(server.seen.most_slow.load(Relaxed), 8, "eight places of their own");
    let standing = Errand { lane: Lane::Standing, repeatable: true };
    let streams = join_all((0..50).map(|_| pool.send(request("/half"), standing))).await;
    assert!(streams.iter().all(Result::is_ok));
    assert!(call(&pool, "/", CALL).await.is_err(), "a call finds no place");
    drop(calls);
    call(&pool, "/", CALL).await.unwrap();
    drop(streams);
    sleep(ms(5)).await;
    let report = pool.report();
    assert!(report.open <= 2 && report.busy == 0, "{report:?}");
}
