//! The near-free upstream over HTTP/1.1: one POST, one JSON answer, head and body in one write.

use std::cell::Cell;
use std::io::{self, Write};
use std::rc::Rc;
use std::time::Instant;

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::Behaviour;
use super::answer::{Answer, answer};
use crate::chance::Chance;
use crate::http1::{Head, request_head, take_body};

/// What all connections share.
struct Shared {
    behaviour: Behaviour,
    started: Instant,
    sessions: Cell<u64>,
    calls: Cell<u64>,
}

/// Serves on a listener until the task is dropped. Runs in a `LocalSet`.
///
/// # Errors
/// If the listener fails.
pub async fn serve_http(listener: TcpListener, behaviour: Behaviour) -> io::Result<()> {
    let shared = Rc::new(Shared { behaviour, started: Instant::now(), sessions: Cell::new(0), calls: Cell::new(0) });
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let shared = Rc::clone(&shared);
        tokio::task::spawn_local(async move {
            // A connection that breaks is its client's business.
            let _ = one_connection(stream, &shared).await;
        });
    }
}

async fn one_connection(mut stream: TcpStream, shared: &Shared) -> io::Result<()> {
    let mut bytes = BytesMut::with_capacity(16 * 1024);
    let mut chance = Chance::new(shared.sessions.get());
    let (mut body, mut out) = (Vec::with_capacity(4096), Vec::with_capacity(4096));
    let mut head: Option<Head> = None;
    loop {
        if head.is_none() {
            head = request_head(&bytes).map_err(|_| io::ErrorKind::InvalidData)?;
            if let Some(found) = &head {
                bytes.advance(found.length);
            }
        }
        let mut whole = None;
        if let Some(found) = &head {
            whole = take_body(found.framing, &mut bytes, false).map_err(|_| io::ErrorKind::InvalidData)?;
        }
        if let Some(request) = whole
            && let Some(found) = head.take()
        {
            body.clear();
            out.clear();
            let outcome = respond(&found, &request, shared, &mut body, &mut out);
            if outcome == Answer::Call && shared.behaviour.delays() {
                let hold = shared.behaviour.hold(&mut chance, shared.started);
                if !hold.is_zero() {
                    tokio::time::sleep(hold).await;
                }
            }
            stream.write_all(&out).await?;
            if found.close {
                return Ok(());
            }
            continue;
        }
        bytes.reserve(4 * 1024);
        if stream.read_buf(&mut bytes).await? == 0 {
            return Ok(());
        }
    }
}

fn respond(head: &Head, request: &[u8], shared: &Shared, body: &mut Vec<u8>, out: &mut Vec<u8>) -> Answer {
    if head.method != "POST" {
        let status = if head.method == "DELETE" { "200 OK" } else { "405 Method Not Allowed" };
        let _ = write!(out, "HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n");
        return Answer::Now;
    }
    let outcome = answer(request, shared.behaviour.eras, body);
    let (sessions, calls) = (&shared.sessions, &shared.calls);
    match outcome {
        Answer::Call => calls.set(calls.get() + 1),
        Answer::Count => drop(write!(body, r#"{{"jsonrpc":"2.0","id":0,"result":{{"calls":{}}}}}"#, calls.get())),
        _ => {}
    }
    let status = match outcome {
        Answer::Nothing => "202 Accepted",
        Answer::Refused(400) => "400 Bad Request",
        Answer::Refused(404) => "404 Not Found",
        _ => "200 OK",
    };
    let _ = write!(out, "HTTP/1.1 {status}\r\n");
    if outcome == Answer::Session {
        sessions.set(sessions.get() + 1);
        let _ = write!(out, "mcp-session-id: near-free-{}\r\n", sessions.get());
    }
    if outcome != Answer::Nothing {
        out.extend_from_slice(b"content-type: application/json\r\n");
    }
    let _ = write!(out, "content-length: {}\r\n\r\n", body.len());
    out.extend_from_slice(body);
    outcome
}
