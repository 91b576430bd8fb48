//! HTTP/2 servers that go away: in the middle of calls, and when nothing has come for a while.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use futures_util::future::join_all;
use omnimind_gateway::{config::Http2, pool::Unanswered};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::{sleep, timeout},
};

use crate::{CALL, Dice, call, ms, pool};

const CALLS: usize = 8;
const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
const ACK: u8 = 1;
/// A field block that says `:status: 200`.
const OK: &[u8] = &[0x88];
/// 100 streams at once.
const HUNDRED_STREAMS: &[u8] = &[0, 3, 0, 0, 0, 100];

/// What such a server has seen.
#[derive(Default)]
struct Seen {
    connections: AtomicUsize,
    /// Requests on the first connection, which goes away.
    first: AtomicUsize,
    /// Requests on the others.
    others: AtomicUsize,
}

async fn listen() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    (listener, url)
}

/// A server whose first connection goes away when it has heard some requests, and says that it began with the first of
/// them alone; that one it answers, or does not.
async fn leaver(answers: bool) -> (String, Arc<Seen>) {
    let (listener, url) = listen().await;
    let seen = Arc::<Seen>::default();
    let shared = Arc::clone(&seen);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let seen = Arc::clone(&shared);
            if seen.connections.fetch_add(1, Relaxed) == 0 {
                tokio::spawn(async move { leave(stream, answers, &seen).await });
            } else {
                tokio::spawn(async move { serve(stream, Duration::MAX, &seen.others).await });
            }
        }
    });
    (url, seen)
}

async fn leave(mut stream: TcpStream, answers: bool, seen: &Seen) {
    let mut preface = [0; 24];
    stream.read_exact(&mut preface).await.unwrap();
    send(&mut stream, SETTINGS, 0, 0, HUNDRED_STREAMS).await;
    let mut first = 0;
    // As many as come within a while after the second.
    while let Ok((kind, flags, id)) =
        timeout(if seen.first.load(Relaxed) < 2 { ms(5_000) } else { ms(100) }, next(&mut stream)).await
    {
        if kind == HEADERS {
            first = if first == 0 { id } else { first };
            seen.first.fetch_add(1, Relaxed);
        } else if kind == SETTINGS && flags & ACK == 0 {
            send(&mut stream, SETTINGS, ACK, 0, &[]).await;
        }
    }
    let last = [first.to_be_bytes(), [0; 4]].concat();
    send(&mut stream, GOAWAY, 0, 0, &last).await;
    sleep(ms(50)).await;
    if answers {
        send(&mut stream, HEADERS, END_STREAM | END_HEADERS, first, OK).await;
        sleep(ms(50)).await;
    }
}

async fn send(stream: &mut TcpStream, kind: u8, flags: u8, id: u32, payload: &[u8]) {
    let mut frame = u32::try_from(payload.len()).unwrap().to_be_bytes()[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(id.to_be_bytes());
    frame.extend(payload);
    stream.write_all(&frame).await.unwrap();
}

/// The kind, flags and stream of the next frame.
async fn next(stream: &mut TcpStream) -> (u8, u8, u32) {
    let mut head = [0; 9];
    stream.read_exact(&mut head).await.unwrap();
    let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
    stream.read_exact(&mut vec![0; usize::try_from(length).unwrap()]).await.unwrap();
    (head[3], head[4], u32::from_be_bytes(head[5..].try_into().unwrap()))
}

/// Answers at once; closes without a word when nothing has come for so long, as hypercorn does.
async fn serve(stream: TcpStream, rests: Duration, heard: &AtomicUsize) {
    let mut connection = h2::server::handshake(stream).await.unwrap();
    while let Ok(Some(Ok((_, mut respond)))) = timeout(rests, connection.accept()).await {
        heard.fetch_add(1, Relaxed);
        respond.send_response(http::Response::new(()), true).unwrap();
    }
}

#[tokio::test]
async fn what_a_server_that_goes_away_had_not_begun_with_goes_elsewhere_and_the_rest_is_finished() {
    let (url, seen) = leaver(true).await;
    let pool = pool(&url, |terms| terms.pool.http2 = Http2::Known);
    for answer in join_all((0..CALLS).map(|_| call(&pool, "/", CALL))).await {
        assert_eq!(answer.unwrap(), "");
    }
    let (first, others) = (seen.first.load(Relaxed), seen.others.load(Relaxed));
    assert!(first >= 2, "{first}");
    assert_eq!(others, CALLS - 1, "all but the one that was answered before");
}

#[tokio::test]
async fn what_a_server_had_begun_with_before_it_went_away_is_not_sent_again() {
    let (url, seen) = leaver(false).await;
    let pool = pool(&url, |terms| terms.pool.http2 = Http2::Known);
    let answers = join_all((0..CALLS).map(|_| call(&pool, "/", CALL))).await;
    let lost: Vec<_> = answers.into_iter().filter_map(Result::err).collect();
    assert!(matches!(&lost[..], [Unanswered::Lost(_)]), "{lost:?}");
    assert_eq!(seen.others.load(Relaxed), CALLS - 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_comes_before_its_request_was_sent_to_the_end_is_an_answer() {
    let (listener, url) = listen().await;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            // It does not read bodies: each of its streams ends with its answer.
            tokio::spawn(async move { serve(stream, Duration::MAX, &AtomicUsize::new(0)).await });
        }
    });
    let pool = pool(&url, |terms| terms.pool.http2 = Http2::Known);
    for _ in 0..1_000 {
        assert_eq!(call(&pool, "/", CALL).await.unwrap(), "");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sparse_calls_over_http_2_never_meet_a_connection_that_is_being_closed() {
    let pools = (0..12).map(|seed| async move {
        let closes = ms(500);
        let (listener, url) = listen().await;
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(async move { serve(stream, closes, &AtomicUsize::new(0)).await });
            }
        });
        let pool = pool(&url, |terms| {
            terms.pool.http2 = Http2::Known;
            terms.pool.idle_ms = 2_000;
        });
        let mut dice = Dice(seed + 1);
        for _ in 0..8 {
            let answer = call(&pool, "/", CALL).await;
            assert!(answer.is_ok(), "{answer:?} {:?}", pool.report());
            sleep(Duration::from_micros(dice.below(750_000))).await;
        }
    });
    join_all(pools).await;
}
