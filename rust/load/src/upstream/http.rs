//! The near-free upstream over HTTP/1.1: one POST, one JSON answer, head and body in one write.

use std::cell::Cell;
use std::io::{self, Write};
use std::rc::Rc;

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::Behaviour;
use super::answer::{Answer, answer};
use crate::chance::Chance;
use crate::http1::{Head, request_head, take_body};

/// Serves on a listener until the task is dropped. Runs in a `LocalSet`.
///
/// # Errors
/// If the listener fails.
pub async fn serve_http(listener: TcpListener, behaviour: Behaviour) -> io::Result<()> {
    let behaviour = Rc::new(behaviour);
    let sessions = Rc::new(Cell::new(0_u64));
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let (behaviour, sessions) = (Rc::clone(&behaviour), Rc::clone(&sessions));
        tokio::task::spawn_local(async move {
            // A connection that breaks is its client's business.
            let _ = one_connection(stream, &behaviour, &sessions).await;
        });
    }
}

async fn one_connection(mut stream: TcpStream, behaviour: &Behaviour, sessions: &Cell<u64>) -> io::Result<()> {
    let mut bytes = BytesMut::with_capacity(16 * 1024);
    let mut chance = Chance::new(sessions.get());
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
            let outcome = respond(&found, &request, behaviour, sessions, &mut body, &mut out);
            if outcome == Answer::Call && behaviour.delays() {
                tokio::time::sleep(behaviour.delay(&mut chance)).await;
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

fn respond(
    head: &Head,
    request: &[u8],
    behaviour: &Behaviour,
    sessions: &Cell<u64>,
    body: &mut Vec<u8>,
    out: &mut Vec<u8>,
) -> Answer {
    if head.method != "POST" {
        let status = if head.method == "DELETE" { "200 OK" } else { "405 Method Not Allowed" };
        let _ = write!(out, "HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n");
        return Answer::Now;
    }
    let outcome = answer(request, behaviour.eras, body);
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
