//! Which connection a call gets, and when one is closed.

use std::sync::atomic::Ordering::Relaxed;

use futures_util::future::join_all;
use tokio::time::sleep;

use crate::{
    CALL, call, closed, ms,
    one::{on, one},
    pool, request, until,
};

#[tokio::test]
async fn calls_one_after_the_other_share_one_connection() {
    let server = one(ms(60_000)).await;
    let pool = pool(&server.url, |_| {});
    for n in 0..50 {
        assert_eq!(call(&pool, &format!("/{n}"), CALL).await.unwrap(), format!("/{n}"));
    }
    let report = pool.report();
    assert_eq!((report.opened, report.reused, report.open, report.idle, report.busy), (1, 49, 1, 1, 0));
    assert_eq!((server.seen.connections.load(Relaxed), report.http), (1, Some("1.1")));
}

#[tokio::test]
async fn the_connection_used_last_is_used_next_and_the_others_come_to_rest() {
    let server = one(ms(60_000)).await;
    // Unknown as it is, a rest of 300 ms is not too long, and one of 50 is far from it.
    let pool = pool(&server.url, |terms| terms.pool.idle_ms = 2_400);
    join_all((0..5).map(|_| call(&pool, "/slow/20", CALL))).await;
    assert_eq!(pool.report().idle, 5);
    let before = server.seen.by.lock().len();
    join_all((0..2).map(|_| call(&pool, "/slow/5", CALL))).await;
    for _ in 0..10 {
        call(&pool, "/", CALL).await.unwrap();
    }
    let mut used = server.seen.by.lock()[before + 2..].to_vec();
    used.dedup();
    assert_eq!(used.len(), 1, "one of five is enough");
    for _ in 0..15 {
        call(&pool, "/", CALL).await.unwrap();
        sleep(ms(50)).await;
    }
    let report = pool.report();
    assert_eq!((report.open, report.idle, closed(&pool, "idle")), (2, 2, 3), "one is watched");
    until("the last one goes as well", || pool.report().open == 0).await;
}

#[tokio::test]
async fn never_more_connections_than_the_maximum() {
    let server = one(ms(60_000)).await;
    let pool = pool(&server.url, |terms| terms.pool.max_connections = 7);
    let calls = join_all((0..200).map(|n| {
        let (pool, path) = (&pool, if n % 3 == 0 { "/slow/3" } else { "/close" });
        async move { call(pool, path, CALL).await.unwrap() }
    }));
    assert_eq!(calls.await.len(), 200);
    assert!(server.seen.most.load(Relaxed) <= 7, "{}", server.seen.most.load(Relaxed));
}

#[tokio::test]
async fn a_server_that_closes_after_an_answer_is_believed() {
    let server = one(ms(60_000)).await;
    let pool = pool(&server.url, |_| {});
    for _ in 0..20 {
        call(&pool, "/close", CALL).await.unwrap();
        assert_eq!(pool.report().idle, 0);
    }
    assert_eq!((closed(&pool, "asked"), pool.report().opened), (20, 20));
}

#[tokio::test]
async fn a_body_that_comes_faster_than_it_is_read_waits_in_the_kernel_and_not_here() {
    let server = one(ms(60_000)).await;
    let pool = pool(&server.url, |_| {});
    let mut body = pool.send(request("/large/8000000"), CALL).await.unwrap().into_body();
    let (mut length, mut longest) = (0, 0);
    while let Some(piece) = body.piece().await {
        let piece = piece.unwrap();
        (length, longest) = (length + piece.len(), longest.max(piece.len()));
        sleep(ms(1)).await;
    }
    assert_eq!(length, 8_000_000);
    assert!((16 << 10..=128 << 10).contains(&longest), "{longest}");
}

#[tokio::test]
async fn a_connection_is_replaced_when_it_is_old() {
    let server = one(ms(60_000)).await;
    let pool = pool(&server.url, |terms| terms.pool.max_age_ms = 200);
    for _ in 0..30 {
        call(&pool, "/", CALL).await.unwrap();
        sleep(ms(20)).await;
    }
    let aged = closed(&pool, "age");
    assert!((2..=4).contains(&aged), "{aged} in 600 ms");
}

#[tokio::test]
async fn some_are_kept_ready_and_replaced_when_they_go() {
    let server = one(ms(60_000)).await;
    let pool = pool(&server.url, |terms| {
        terms.pool.min_idle = 3;
        terms.pool.idle_ms = 2_000;
    });
    until("three are ready", || pool.report().idle == 3).await;
    call(&pool, "/", CALL).await.unwrap();
    assert_eq!(pool.report().reused, 1, "the first call already");
    until("they are renewed", || pool.report().opened >= 6 && pool.report().idle == 3).await;
    assert!(server.seen.most.load(Relaxed) <= 6);
}

#[tokio::test]
async fn a_server_that_is_down_is_not_hammered_to_keep_some_ready() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let pool = pool(&format!("http://{address}"), |terms| terms.pool.min_idle = 2);
    sleep(ms(300)).await;
    let server = on(tokio::net::TcpListener::bind(address).await.unwrap(), ms(60_000));
    until("two are ready", || pool.report().idle == 2).await;
    assert_eq!(server.seen.connections.load(Relaxed), 2);
}

#[tokio::test]
async fn an_answer_that_is_not_read_to_its_end_costs_its_connection() {
    let server = one(ms(60_000)).await;
    let pool = pool(&server.url, |_| {});
    let mut response = pool.send(request("/half"), CALL).await.unwrap();
    assert_eq!(response.body_mut().piece().await.unwrap().unwrap(), "half");
    assert_eq!(pool.report().busy, 1);
    drop(response);
    assert_eq!((pool.report().open, closed(&pool, "cancelled")), (0, 1));
    until("the server notices", || server.seen.open.load(Relaxed) == 0).await;
}

#[tokio::test]
async fn a_pool_that_is_let_go_closes_everything() {
    let server = one(ms(60_000)).await;
    let pool = pool(&server.url, |_| {});
    join_all((0..10).map(|_| call(&pool, "/slow/5", CALL))).await;
    let last = pool.send(request("/half"), CALL).await.unwrap();
    drop(pool);
    drop(last);
    until("nothing is open", || server.seen.open.load(Relaxed) == 0).await;
}
