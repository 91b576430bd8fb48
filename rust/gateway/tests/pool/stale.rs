//! Servers that close connections that rest.

use std::{
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use omnimind_gateway::pool::Unanswered;
use tokio::time::sleep;

use crate::{AGAIN, CALL, Dice, call, closed, full, ms, one::one, pool, until};

/// Sparse calls, none of which may be sent twice; what failed.
async fn sparse(closes: Duration, pools: u64, calls: u64, start: Duration) -> Vec<String> {
    let mut tasks = Vec::new();
    for seed in 0..pools {
        tasks.push(tokio::spawn(async move {
            let server = one(closes).await;
            let pool = pool(&server.url, |terms| terms.pool.idle_ms = u64::try_from(start.as_millis()).unwrap());
            let mut dice = Dice(seed + 1);
            let mut failed = Vec::new();
            for _ in 0..calls {
                if let Err(error) = call(&pool, "/", CALL).await {
                    failed.push(format!("closes after {closes:?}: {error:?}, {:?}", pool.report()));
                }
                let most = u64::try_from(closes.as_micros()).unwrap() * 3 / 2;
                sleep(Duration::from_micros(dice.below(most))).await;
            }
            failed
        }));
    }
    let mut failed = Vec::new();
    for task in tasks {
        failed.extend(task.await.unwrap());
    }
    failed
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sparse_calls_never_meet_a_connection_that_is_being_closed() {
    let failed = if full() {
        // Ten thousand calls; the longer a server waits, the fewer.
        let (one, two, five) = tokio::join!(
            sparse(ms(1_000), 40, 125, ms(4_000)),
            sparse(ms(2_000), 40, 88, ms(4_000)),
            sparse(ms(5_000), 40, 37, ms(4_000)),
        );
        [one, two, five].concat()
    } else {
        let (one, two, five) = tokio::join!(
            sparse(ms(100), 4, 30, ms(400)),
            sparse(ms(200), 4, 15, ms(400)),
            sparse(ms(500), 4, 6, ms(400)),
        );
        [one, two, five].concat()
    };
    assert!(failed.is_empty(), "{failed:#?}");
}

#[tokio::test]
async fn what_the_server_does_is_learned_from_one_close() {
    let server = one(ms(300)).await;
    let pool = pool(&server.url, |_| {});
    call(&pool, "/", CALL).await.unwrap();
    assert_eq!((pool.report().idle_limit_ms, pool.report().learned), (500, false));
    until("the close is seen", || pool.report().learned).await;
    let limit = pool.report().idle_limit_ms;
    assert!((145..=170).contains(&limit), "half of 300 ms, not {limit}");
    assert_eq!((pool.report().open, closed(&pool, "peer")), (0, 1));
}

#[tokio::test]
async fn what_the_server_promises_is_believed() {
    let server = one(ms(60_000)).await;
    "keep-alive: timeout=30, max=100\r\n".clone_into(&mut server.seen.header.lock());
    let pool = pool(&server.url, |_| {});
    call(&pool, "/", CALL).await.unwrap();
    assert_eq!((pool.report().idle_limit_ms, pool.report().learned), (29_000, true));
}

#[tokio::test]
async fn a_close_that_was_no_limit_is_forgotten() {
    let server = one(ms(60_000)).await;
    // Unknown as it is, a rest of 200 ms is not too long.
    let pool = pool(&server.url, |terms| terms.pool.idle_ms = 1_600);
    call(&pool, "/", CALL).await.unwrap();
    // As a server that is restarted: a connection that has just been used is closed.
    *server.seen.impatient.lock() = Some(ms(20));
    call(&pool, "/", CALL).await.unwrap();
    until("it is taken for a limit", || pool.report().learned).await;
    assert!(pool.report().idle_limit_ms < 200, "{:?}", pool.report());
    call(&pool, "/", CALL).await.unwrap();
    until("the scout shows otherwise", || pool.report().idle_limit_ms == 1_600).await;
    assert!(!pool.report().learned);
}

#[tokio::test]
async fn a_connection_that_dies_under_a_request_costs_only_what_may_not_be_repeated() {
    let server = one(ms(60_000)).await;
    let pool = pool(&server.url, |_| {});
    call(&pool, "/", CALL).await.unwrap();
    let lost = call(&pool, "/die", CALL).await.unwrap_err();
    assert!(matches!(lost, Unanswered::Lost(_)), "{lost:?}");
    assert_eq!(server.seen.paths.lock().len(), 2, "it was not sent again");
    call(&pool, "/", CALL).await.unwrap();
    let lost = call(&pool, "/die", AGAIN).await.unwrap_err();
    assert!(matches!(lost, Unanswered::Lost(_)), "on a fresh connection it is the server's doing: {lost:?}");
    assert_eq!(server.seen.paths.lock().iter().filter(|path| *path == "/die").count(), 3, "once more, and no more");
    call(&pool, "/close", CALL).await.unwrap();
    call(&pool, "/die", AGAIN).await.unwrap_err();
    assert_eq!(server.seen.paths.lock().iter().filter(|path| *path == "/die").count(), 4, "a fresh one is no excuse");
    assert!(!pool.report().learned, "that says nothing about rests");
}

#[tokio::test]
async fn connections_that_are_closed_all_at_once_cost_no_call() {
    let server = one(ms(150)).await;
    let pool = pool(&server.url, |_| {});
    for round in 0..4 {
        let calls = (0..20).map(|_| {
            let pool = Arc::clone(&pool);
            async move { call(&pool, "/slow/5", CALL).await }
        });
        for answer in futures_util::future::join_all(calls).await {
            assert!(answer.is_ok(), "round {round}: {answer:?}");
        }
        sleep(ms(200)).await;
    }
    assert_eq!(server.seen.open.load(Relaxed), 0);
}
