//! HTTP/2: where it is spoken, and how calls share connections.

use std::{sync::Arc, sync::atomic::Ordering::Relaxed};

use futures_util::future::join_all;
use omnimind_gateway::{
    config::Http2,
    pool::{Pool, Trust, Unanswered},
};
use tokio::time::{Instant, sleep};

use crate::{
    CALL, call,
    certificate::localhost,
    closed, ms,
    one::one,
    pool, request,
    two::{Two, two},
    until, whole,
};

fn known(server: &Two) -> Arc<Pool> {
    pool(&server.url, |terms| terms.pool.http2 = Http2::Known)
}

fn trusting(url: &str, trust: &Arc<Trust>, http2: Http2) -> Arc<Pool> {
    pool(url, |terms| {
        terms.trust = Arc::clone(trust);
        terms.pool.http2 = http2;
    })
}

#[tokio::test]
async fn a_hundred_calls_at_once_share_two_connections() {
    let server = two(250, None).await;
    let pool = known(&server);
    for _ in 0..3 {
        let answers = join_all((0..100).map(|n| {
            let (pool, path) = (&pool, format!("/slow/{}", 100 + n % 7));
            async move { (call(pool, &path, CALL).await.unwrap(), path) }
        }))
        .await;
        assert!(answers.iter().all(|(answer, path)| answer == path));
    }
    assert_eq!(server.seen.most.load(Relaxed), 100, "all of them at once");
    assert_eq!((server.seen.connections.load(Relaxed), server.seen.old.load(Relaxed)), (2, 0));
    let report = pool.report();
    assert_eq!((report.http, report.open, report.idle, report.opened, report.reused), (Some("2"), 2, 2, 2, 298));
}

#[tokio::test]
async fn one_call_after_the_other_needs_one_connection() {
    let server = two(250, None).await;
    let pool = known(&server);
    for n in 0..20 {
        assert_eq!(call(&pool, &format!("/{n}"), CALL).await.unwrap(), format!("/{n}"));
    }
    assert_eq!(server.seen.connections.load(Relaxed), 1);
}

#[tokio::test]
async fn what_the_server_allows_on_a_connection_is_kept_and_more_are_opened() {
    let server = two(5, None).await;
    let pool = known(&server);
    call(&pool, "/", CALL).await.unwrap();
    let begun = Instant::now();
    join_all((0..20).map(|_| call(&pool, "/slow/200", CALL))).await.into_iter().for_each(|said| drop(said.unwrap()));
    assert!(begun.elapsed() < ms(390), "none waited for another: {:?}", begun.elapsed());
    let opened = server.seen.connections.load(Relaxed);
    assert!((4..=5).contains(&opened), "four are enough, one more may have been on its way: {opened}");
}

#[tokio::test]
async fn who_finds_every_connection_full_waits_its_turn() {
    let server = two(5, None).await;
    let pool = pool(&server.url, |terms| {
        terms.pool.http2 = Http2::Known;
        terms.pool.max_connections = 2;
        terms.pool.wait_ms = 500;
    });
    call(&pool, "/", CALL).await.unwrap();
    join_all((0..40).map(|_| call(&pool, "/slow/30", CALL))).await.into_iter().for_each(|said| drop(said.unwrap()));
    assert!(server.seen.most.load(Relaxed) <= 10);
    assert_eq!((server.seen.connections.load(Relaxed), pool.report().waiting, pool.report().refused), (2, 0, 0));
    let held: Vec<_> = (0..10)
        .map(|_| {
            let pool = Arc::clone(&pool);
            tokio::spawn(async move { call(&pool, "/slow/60000", CALL).await.map(drop) })
        })
        .collect();
    until("all places are taken", || server.seen.in_flight.load(Relaxed) == 10).await;
    let begun = Instant::now();
    assert!(matches!(call(&pool, "/", CALL).await, Err(Unanswered::Full(..))));
    assert!(begun.elapsed() < ms(700));
    held.iter().for_each(tokio::task::JoinHandle::abort);
    call(&pool, "/", CALL).await.unwrap();
}

#[tokio::test]
async fn tls_agrees_on_what_both_speak() {
    let offers: [(&[&[u8]], Http2, &str); 4] = [
        (&[b"h2", b"http/1.1"], Http2::Offered, "2"),
        (&[b"h2", b"http/1.1"], Http2::Known, "2"),
        (&[b"http/1.1"], Http2::Offered, "1.1"),
        (&[], Http2::Offered, "1.1"),
    ];
    for (protocols, wanted, spoken) in offers {
        let (config, trust) = localhost(protocols);
        if spoken == "2" {
            let server = two(250, Some(config)).await;
            let pool = trusting(&server.url, &trust, wanted);
            let name = server.url.trim_start_matches("https://");
            assert_eq!(call(&pool, "/host", CALL).await.unwrap(), name);
            join_all((0..100).map(|_| call(&pool, "/slow/50", CALL)))
                .await
                .into_iter()
                .for_each(|said| drop(said.unwrap()));
            assert_eq!((server.seen.connections.load(Relaxed), pool.report().http), (2, Some("2")));
        } else {
            let server = one(ms(60_000)).await;
            let url = behind_tls(&server.url, config).await;
            let pool = trusting(&url, &trust, wanted);
            join_all((0..20).map(|_| call(&pool, "/slow/20", CALL)))
                .await
                .into_iter()
                .for_each(|said| drop(said.unwrap()));
            assert_eq!((server.seen.connections.load(Relaxed), pool.report().http), (20, Some("1.1")));
            call(&pool, "/", CALL).await.unwrap();
            assert_eq!(pool.report().opened, 20, "they are used again");
        }
    }
}

#[tokio::test]
async fn never_means_that_http_2_is_not_even_offered() {
    let server = one(ms(60_000)).await;
    let (config, trust) = localhost(&[b"h2", b"http/1.1"]);
    let url = behind_tls(&server.url, config).await;
    let pool = trusting(&url, &trust, Http2::Never);
    assert_eq!(call(&pool, "/a", CALL).await.unwrap(), "/a");
    assert_eq!(pool.report().http, Some("1.1"));
}

#[tokio::test]
async fn a_certificate_nobody_signed_is_not_believed() {
    let (config, _) = localhost(&[b"h2"]);
    let (_, others) = localhost(&[b"h2"]);
    let server = two(250, Some(config)).await;
    let refused = call(&trusting(&server.url, &others, Http2::Offered), "/", CALL).await.unwrap_err();
    assert!(matches!(&refused, Unanswered::Unsent(why) if why.contains("certificate")), "{refused:?}");
    assert_eq!(server.seen.requests.load(Relaxed), 0);
}

#[tokio::test]
async fn a_server_that_goes_away_finishes_what_it_has_and_gets_nothing_new() {
    let server = two(250, None).await;
    let pool = known(&server);
    let spawn = |path: &'static str| {
        let pool = Arc::clone(&pool);
        tokio::spawn(async move { call(&pool, path, CALL).await })
    };
    let long: Vec<_> = (0..40).map(|_| spawn("/slow/300")).collect();
    until("they are under way", || server.seen.in_flight.load(Relaxed) == 40).await;
    let before = server.seen.connections.load(Relaxed);
    server.seen.goes_away.notify_waiters();
    let mut short = Vec::new();
    for _ in 0..40 {
        short.push(spawn("/slow/1"));
        sleep(ms(2)).await;
    }
    for answer in join_all(short).await.into_iter().chain(join_all(long).await) {
        answer.unwrap().unwrap();
    }
    assert!(server.seen.connections.load(Relaxed) > before, "a new connection");
    assert_eq!(server.seen.requests.load(Relaxed), 80, "none was sent twice");
    until("the old ones are closed", || closed(&pool, "asked") >= 1).await;
}

#[tokio::test]
async fn a_stream_the_server_did_not_begin_with_goes_out_again_over_another_connection() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        for number in 0.. {
            let (stream, _) = listener.accept().await.unwrap();
            tokio::spawn(async move {
                let mut connection = h2::server::handshake(stream).await.unwrap();
                let mut heard = 0;
                while let Some(Ok((_, mut respond))) = connection.accept().await {
                    heard += 1;
                    if number == 0 && heard > 1 {
                        respond.send_reset(h2::Reason::REFUSED_STREAM);
                    } else {
                        respond.send_response(http::Response::new(()), true).unwrap();
                    }
                }
            });
        }
    });
    let pool = pool(&url, |terms| terms.pool.http2 = Http2::Known);
    for _ in 0..5 {
        assert_eq!(call(&pool, "/", CALL).await.unwrap(), "");
    }
    assert_eq!(pool.report().opened, 2);
}

#[tokio::test]
async fn a_call_that_is_dropped_ends_at_the_server_and_leaves_the_connection() {
    let server = two(250, None).await;
    let pool = known(&server);
    call(&pool, "/", CALL).await.unwrap();
    let given_up = tokio::time::timeout(ms(50), call(&pool, "/slow/60000", CALL)).await;
    assert!(given_up.is_err());
    until("the server has heard", || server.seen.in_flight.load(Relaxed) == 0).await;
    call(&pool, "/", CALL).await.unwrap();
    assert_eq!((server.seen.connections.load(Relaxed), pool.report().busy), (1, 0));
}

#[tokio::test]
async fn a_reader_that_does_not_read_holds_nobody_up() {
    let server = two(250, None).await;
    let pool = pool(&server.url, |terms| {
        terms.pool.http2 = Http2::Known;
        terms.pool.max_connections = 1;
    });
    let unread = join_all((0..50).map(|_| pool.send(request("/large/4000000"), CALL))).await;
    sleep(ms(100)).await;
    for n in 0..20 {
        assert_eq!(call(&pool, &format!("/{n}"), CALL).await.unwrap(), format!("/{n}"));
    }
    let mut answers = unread.into_iter();
    let first = answers.next().unwrap().unwrap();
    assert_eq!(whole(first).await.unwrap().len(), 4_000_000, "and is sent the rest when it reads");
    drop(answers);
    assert_eq!(server.seen.connections.load(Relaxed), 1);
}

#[tokio::test]
async fn a_connection_that_has_died_without_a_word_is_found_out() {
    let server = two(250, None).await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let behind = server.url.trim_start_matches("http://").to_owned();
    let (dead, mut dies) = tokio::sync::watch::channel(false);
    tokio::spawn(async move {
        let mut kept = Vec::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut there = tokio::net::TcpStream::connect(&behind).await.unwrap();
            if kept.is_empty() {
                tokio::select! {
                    _ = tokio::io::copy_bidirectional(&mut stream, &mut there) => {}
                    _ = dies.changed() => kept.push((stream, there)),
                }
            } else {
                tokio::spawn(async move { tokio::io::copy_bidirectional(&mut stream, &mut there).await });
            }
        }
    });
    let pool = pool(&url, |terms| {
        terms.pool.http2 = Http2::Known;
        terms.pool.max_connections = 1;
        terms.sign = ms(100);
    });
    call(&pool, "/slow/250", CALL).await.expect("one that is only slow is not taken for dead");
    dead.send_replace(true);
    let begun = Instant::now();
    assert!(matches!(call(&pool, "/", CALL).await, Err(Unanswered::Lost(_))));
    assert!(begun.elapsed() < ms(400), "{:?}", begun.elapsed());
    call(&pool, "/", CALL).await.expect("the next one has another connection");
}

#[tokio::test]
async fn a_connection_that_rests_is_closed_in_time() {
    let server = two(250, None).await;
    let pool = pool(&server.url, |terms| {
        terms.pool.http2 = Http2::Known;
        terms.pool.idle_ms = 300;
    });
    join_all((0..10).map(|_| call(&pool, "/slow/20", CALL))).await;
    until("both are open", || pool.report().open == 2).await;
    until("both are closed", || pool.report().open == 0).await;
    assert_eq!(closed(&pool, "idle"), 2);
    call(&pool, "/", CALL).await.unwrap();
}

/// TLS in front of a server that has none.
async fn behind_tls(url: &str, config: tokio_rustls::rustls::ServerConfig) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let behind = url.trim_start_matches("http://").to_owned();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (acceptor, behind) = (acceptor.clone(), behind.clone());
            tokio::spawn(async move {
                let mut stream = acceptor.accept(stream).await.unwrap();
                let mut there = tokio::net::TcpStream::connect(behind).await.unwrap();
                let _ = tokio::io::copy_bidirectional(&mut stream, &mut there).await;
            });
        }
    });
    format!("https://localhost:{port}")
}
