//! Reading a request's body: bounded in bytes and in time, drained when it is refused.

use std::{
    future::poll_fn,
    pin::{Pin, pin},
    task::Poll,
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use http_body::Body as _;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use omnimind_wire::{Reason, Refusal};

use crate::config::Edge;

/// A refused body is read and thrown away up to here, so that the client gets to read the refusal.
const DRAIN_BYTES: usize = 64 << 20;
/// And for no longer than this.
const DRAIN_TIME: Duration = Duration::from_secs(10);

/// Reads the whole body.
///
/// # Errors
/// 413 when it is larger than allowed, 408 when it takes too long, 400 when it breaks off.
pub(crate) async fn read(edge: &Edge, mut body: Incoming) -> Result<Bytes, Refusal> {
    let most = edge.body_bytes;
    if body.size_hint().lower() > most as u64 {
        drain(body);
        return Err(too_large(most));
    }
    let patience = Duration::from_millis(edge.body_timeout_ms);
    let collected = {
        let mut collecting = pin!(collect(&mut body, most));
        match at_once(collecting.as_mut()).await {
            Some(collected) => Ok(collected),
            None => tokio::time::timeout(patience, collecting).await,
        }
    };
    match collected {
        Ok(Ok(bytes)) => Ok(bytes),
        Ok(Err(refusal)) => {
            drain(body);
            Err(refusal)
        }
        Err(_) => Err(Refusal::new(
            Reason::BodyTimeout,
            "request",
            format!("the body did not arrive within {} ms", edge.body_timeout_ms),
        )),
    }
}

/// What is there now, or as soon as the connection has been looked at again: most bodies come with their heads, and
/// need no clock.
async fn at_once<F: Future>(mut work: Pin<&mut F>) -> Option<F::Output> {
    let mut again = true;
    poll_fn(|context| match work.as_mut().poll(context) {
        Poll::Ready(done) => Poll::Ready(Some(done)),
        Poll::Pending if again => {
            again = false;
            context.waker().wake_by_ref();
            Poll::Pending
        }
        Poll::Pending => Poll::Ready(None),
    })
    .await
}

async fn collect(body: &mut Incoming, most: usize) -> Result<Bytes, Refusal> {
    let broken = || Refusal::new(Reason::BadRequest, "request", "the body broke off");
    let mut first = Bytes::new();
    let mut all = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(|_| broken())?.into_data() else { continue };
        if first.len() + all.len() + data.len() > most {
            return Err(too_large(most));
        }
        // Most bodies are one frame: keep it as it is.
        if first.is_empty() && all.is_empty() {
            first = data;
        } else {
            if all.is_empty() {
                all.extend_from_slice(&first);
                first = Bytes::new();
            }
            all.extend_from_slice(&data);
        }
    }
    Ok(if all.is_empty() { first } else { all.freeze() })
}

fn too_large(most: usize) -> Refusal {
    Refusal::new(Reason::BodyTooLarge, "request", format!("the body is larger than {most} bytes (gateway.body_bytes)"))
}

/// Throws a body away beside the answer.
pub(crate) fn drain(mut body: Incoming) {
    if body.is_end_stream() {
        return;
    }
    tokio::spawn(tokio::time::timeout(DRAIN_TIME, async move {
        let mut seen = 0;
        while let Some(Ok(frame)) = body.frame().await {
            seen += frame.data_ref().map_or(0, Bytes::len);
            if seen > DRAIN_BYTES {
                break;
            }
        }
    }));
}
