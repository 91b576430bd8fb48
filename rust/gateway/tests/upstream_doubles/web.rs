//! A server behind HTTP, driven by a closure.

use std::{
    convert::Infallible,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, StreamBody, combinators::UnsyncBoxBody};
use hyper::{body::Frame, body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::{
    net::TcpListener,
    sync::{Notify, mpsc},
    task::AbortHandle,
};

/// One request as it was heard.
#[derive(Debug, Clone)]
pub(crate) struct Ask {
    pub(crate) verb: Method,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
}

impl Ask {
    /// A header's text, or nothing.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// The JSON-RPC method.
    pub(crate) fn method(&self) -> &str {
        self.body["method"].as_str().unwrap_or_default()
    }

    /// A JSON answer with this result.
    pub(crate) fn result(&self, result: &Value) -> Answer {
        Answer::json(200, &json!({"jsonrpc": "2.0", "id": self.body["id"], "result": result}))
    }

    /// A JSON answer with this error.
    pub(crate) fn error(&self, status: u16, code: i64, data: &Value) -> Answer {
        let error = json!({"code": code, "message": "no", "data": data});
        Answer::json(status, &json!({"jsonrpc": "2.0", "id": self.body["id"], "error": error}))
    }
}

/// What is answered.
pub(crate) struct Answer {
    status: u16,
    headers: Vec<(&'static str, String)>,
    pieces: mpsc::Receiver<String>,
}

impl Answer {
    /// No body.
    pub(crate) fn status(status: u16) -> Self {
        Self { status, headers: Vec::new(), pieces: mpsc::channel(1).1 }
    }

    /// A JSON body.
    pub(crate) fn json(status: u16, body: &Value) -> Self {
        let (sender, pieces) = mpsc::channel(1);
        sender.try_send(body.to_string()).unwrap();
        Self { status, headers: vec![("content-type", "application/json".into())], pieces }
    }

    /// An event stream, with what writes it.
    pub(crate) fn stream() -> (Self, Stream) {
        let (sender, pieces) = mpsc::channel(64);
        (Self { status: 200, headers: vec![("content-type", "text/event-stream".into())], pieces }, Stream { sender })
    }

    /// A body of this type, with what writes it piece by piece as it is read.
    pub(crate) fn pieces(kind: &str) -> (Self, mpsc::Sender<String>) {
        let (sender, pieces) = mpsc::channel(1);
        (Self { status: 200, headers: vec![("content-type", kind.into())], pieces }, sender)
    }

    /// With a header more.
    pub(crate) fn with(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}

/// Writes an event stream; dropping it ends the stream.
#[derive(Clone)]
pub(crate) struct Stream {
    sender: mpsc::Sender<String>,
}

impl Stream {
    /// One message.
    pub(crate) fn say(&self, message: &Value) {
        self.raw(&format!("event: message\ndata: {message}\n\n"));
    }

    /// Any text.
    pub(crate) fn raw(&self, text: &str) {
        let _ = self.sender.try_send(text.to_owned());
    }

    /// Waits until the other side has gone.
    pub(crate) async fn closed(&self) {
        self.sender.closed().await;
    }
}

/// A server behind HTTP.
pub(crate) struct Web {
    /// Its address.
    pub(crate) url: String,
    /// What it has heard.
    pub(crate) heard: Arc<Mutex<Vec<Ask>>>,
    /// Connections so far.
    pub(crate) connections: Arc<AtomicUsize>,
    hang_up: Arc<Notify>,
    task: AbortHandle,
}

impl Drop for Web {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Web {
    /// Closes the connections that rest.
    pub(crate) fn hang_up(&self) {
        self.hang_up.notify_waiters();
    }

    /// How often this was asked: an HTTP verb, or a JSON-RPC method.
    pub(crate) fn times(&self, what: &str) -> usize {
        self.heard.lock().iter().filter(|ask| ask.method() == what || ask.verb.as_str() == what).count()
    }

    /// The last request of a JSON-RPC method.
    pub(crate) fn last(&self, method: &str) -> Ask {
        self.heard.lock().iter().rev().find(|ask| ask.method() == method).cloned().expect("it was asked")
    }
}

/// Starts a server.
pub(crate) async fn serve(handle: impl Fn(Ask) -> Answer + Send + Sync + 'static) -> Web {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/mcp", listener.local_addr().unwrap());
    let heard = Arc::<Mutex<Vec<Ask>>>::default();
    let handle = Arc::new(handle);
    let (connections, hang_up) = (Arc::<AtomicUsize>::default(), Arc::<Notify>::default());
    let task = {
        let heard = Arc::clone(&heard);
        let (count, hang_up) = (Arc::clone(&connections), Arc::clone(&hang_up));
        tokio::spawn(async move {
            let mut serving = tokio::task::JoinSet::new();
            loop {
                let Ok((stream, _)) = listener.accept().await else { return };
                count.fetch_add(1, Ordering::Relaxed);
                let (heard, handle, hang_up) = (Arc::clone(&heard), Arc::clone(&handle), Arc::clone(&hang_up));
                let service = service_fn(move |request| respond(request, Arc::clone(&heard), Arc::clone(&handle)));
                serving.spawn(async move {
                    let builder = auto::Builder::new(TokioExecutor::new());
                    let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
                    tokio::select! {
                        _ = connection.as_mut() => return,
                        () = hang_up.notified() => {}
                    }
                    connection.as_mut().graceful_shutdown();
                    let _ = connection.await;
                });
            }
        })
    };
    Web { url, heard, connections, hang_up, task: task.abort_handle() }
}

type Body = UnsyncBoxBody<Bytes, Infallible>;

async fn respond(
    request: Request<Incoming>,
    heard: Arc<Mutex<Vec<Ask>>>,
    handle: Arc<impl Fn(Ask) -> Answer + Send + Sync>,
) -> Result<Response<Body>, Infallible> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    let ask = Ask { verb: head.method, headers: head.headers, body: serde_json::from_slice(&body).unwrap_or_default() };
    heard.lock().push(ask.clone());
    let answer = handle(ask);
    let mut pieces = answer.pieces;
    let stream = async_stream::stream! {
        while let Some(piece) = pieces.recv().await {
            yield Ok(Frame::data(Bytes::from(piece)));
        }
    };
    let mut response = Response::new(BodyExt::boxed_unsync(StreamBody::new(stream)));
    *response.status_mut() = StatusCode::from_u16(answer.status).unwrap();
    for (name, value) in answer.headers {
        response.headers_mut().append(HeaderName::from_static(name), HeaderValue::from_str(&value).unwrap());
    }
    Ok(response)
}
