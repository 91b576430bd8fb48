//! Origins that fail.

use std::sync::atomic::Ordering::Relaxed;

use omnimind_gateway::pool::Unanswered;
use tokio::{net::TcpListener, time::sleep};

use crate::{
    CALL, call, ms,
    one::{on, one},
    pool, until,
};

#[tokio::test]
async fn five_bad_answers_in_a_row_and_the_next_calls_are_not_sent() {
    let server = one(ms(60_000)).await;
    let pool = pool(&server.url, |terms| terms.rest = ms(300));
    for status in ["502", "503", "504", "503"] {
        call(&pool, &format!("/status/{status}"), CALL).await.unwrap();
    }
    call(&pool, "/status/500", CALL).await.unwrap();
    assert_eq!(pool.report().ejected_ms, 0, "a 500 is an answer like any other, and ends the row");
    for _ in 0..5 {
        call(&pool, "/status/503", CALL).await.unwrap();
    }
    let sent = server.seen.paths.lock().len();
    let Err(Unanswered::Refused(why, wait)) = call(&pool, "/", CALL).await else { panic!("a refusal is expected") };
    assert!(why.contains("503") && wait <= ms(300), "{why} {wait:?}");
    assert!((200..=300).contains(&pool.report().ejected_ms));
    assert_eq!(server.seen.paths.lock().len(), sent);
    sleep(ms(320)).await;
    for n in 0..10 {
        assert_eq!(call(&pool, &format!("/{n}"), CALL).await.unwrap(), format!("/{n}"));
    }
    assert_eq!((pool.report().ejected_ms, pool.report().refused), (0, 1));
}

#[tokio::test]
async fn an_origin_that_fails_on_its_return_rests_longer() {
    let server = one(ms(60_000)).await;
    let pool = pool(&server.url, |terms| terms.rest = ms(100));
    for _ in 0..5 {
        call(&pool, "/status/503", CALL).await.unwrap();
    }
    sleep(ms(110)).await;
    call(&pool, "/status/503", CALL).await.unwrap();
    let ejected = pool.report().ejected_ms;
    assert!((150..=200).contains(&ejected), "twice as long, not {ejected}");
}

#[tokio::test]
async fn calls_return_one_by_one_at_first() {
    let server = one(ms(60_000)).await;
    let pool = pool(&server.url, |terms| terms.rest = ms(50));
    for _ in 0..5 {
        call(&pool, "/status/503", CALL).await.unwrap();
    }
    sleep(ms(60)).await;
    let several = futures_util::future::join_all((0..10).map(|_| call(&pool, "/slow/20", CALL))).await;
    assert_eq!(several.iter().filter(|said| said.is_ok()).count(), 1);
    let several = futures_util::future::join_all((0..10).map(|_| call(&pool, "/slow/20", CALL))).await;
    assert_eq!(several.iter().filter(|said| said.is_ok()).count(), 2);
}

#[tokio::test]
async fn an_origin_that_cannot_be_reached_is_back_as_soon_as_it_can() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let pool = pool(&format!("http://{address}"), |_| {});
    for _ in 0..5 {
        assert!(matches!(call(&pool, "/", CALL).await, Err(Unanswered::Unsent(_))));
    }
    assert!(matches!(call(&pool, "/", CALL).await, Err(Unanswered::Refused(..))));
    assert!(pool.report().ejected_ms > 29_000);
    let server = on(TcpListener::bind(address).await.unwrap(), ms(60_000));
    until("it is known to be back", || pool.report().ejected_ms == 0).await;
    call(&pool, "/", CALL).await.unwrap();
    assert_eq!(server.seen.connections.load(Relaxed), 1, "over the connection that showed it");
}
