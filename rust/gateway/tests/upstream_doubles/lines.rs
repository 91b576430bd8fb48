//! A server on a byte stream: newline JSON-RPC, driven by a closure.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use omnimind_wire::Era;
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader},
    net::UnixListener,
    sync::mpsc,
    task::AbortHandle,
};

/// What a server heard and may say on one connection.
#[derive(Clone)]
pub(crate) struct Line {
    out: mpsc::UnboundedSender<Vec<u8>>,
    hang_up: Arc<tokio::sync::Notify>,
    /// Which connection, counted from 0.
    pub(crate) connection: usize,
}

impl Line {
    /// Says a message.
    pub(crate) fn say(&self, message: &Value) {
        self.raw(&format!("{message}\n"));
    }

    /// Says any bytes.
    pub(crate) fn raw(&self, text: &str) {
        let _ = self.out.send(text.as_bytes().to_vec());
    }

    /// Answers a request.
    pub(crate) fn answer(&self, request: &Value, result: &Value) {
        self.say(&json!({"jsonrpc": "2.0", "id": request["id"], "result": result}));
    }

    /// Closes the connection.
    pub(crate) fn hang_up(&self) {
        self.hang_up.notify_one();
    }
}

/// Everything a server has heard, for assertions.
pub(crate) type Heard = Arc<Mutex<Vec<Value>>>;

/// A server on a Unix socket.
pub(crate) struct Double {
    /// Where it listens.
    pub(crate) path: PathBuf,
    /// What it has heard, without greetings.
    pub(crate) heard: Heard,
    /// First lines of connections that are to open with a key.
    pub(crate) keys: Arc<Mutex<Vec<String>>>,
    /// Connections so far.
    pub(crate) connections: Arc<AtomicUsize>,
    task: AbortHandle,
    _folder: Folder,
}

impl Drop for Double {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// What a server greets with.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Speaks {
    Both,
    Modern,
    Legacy,
    /// One era, with these capabilities.
    Promises(Era, &'static str),
}

impl Speaks {
    fn capabilities(self, era: Era) -> Option<Value> {
        match self {
            Self::Promises(spoken, capabilities) => {
                (spoken == era).then(|| serde_json::from_str(capabilities).unwrap())
            }
            Self::Modern if era == Era::Legacy => None,
            Self::Legacy if era == Era::Modern => None,
            _ => Some(json!({"tools": {}})),
        }
    }
}

/// A folder of its own for a test, which goes with its owner.
pub(crate) struct Folder {
    /// The one in the system's place for such things.
    top: PathBuf,
    path: PathBuf,
}

impl std::ops::Deref for Folder {
    type Target = Path;

    fn deref(&self) -> &Path {
        &self.path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.top);
    }
}

/// A folder whose own name is so long.
pub(crate) fn folder(length: usize) -> Folder {
    static SERIAL: AtomicUsize = AtomicUsize::new(0);
    let serial = SERIAL.fetch_add(1, Ordering::Relaxed);
    let top = std::env::temp_dir().join(format!("omnimind-upstream-{}-{serial}", std::process::id()));
    let path = top.join("d".repeat(length.max(1)));
    std::fs::create_dir_all(&path).unwrap();
    Folder { top, path }
}

/// Starts a server that answers greetings itself and hands everything else to `handle`.
pub(crate) fn serve(keyed: bool, speaks: Speaks, handle: impl Fn(Value, Line) + Send + Sync + 'static) -> Double {
    serve_in(folder(1), keyed, speaks, handle)
}

/// As [`serve`], in this folder.
pub(crate) fn serve_in(
    folder: Folder,
    keyed: bool,
    speaks: Speaks,
    handle: impl Fn(Value, Line) + Send + Sync + 'static,
) -> Double {
    let path = folder.join("s.sock");
    // Bound by a short name: the folder may be deeper than an address is long.
    let open = std::fs::File::open(&*folder).unwrap();
    let short = format!("/proc/self/fd/{}/s.sock", std::os::fd::AsRawFd::as_raw_fd(&open));
    let listener = UnixListener::bind(short).unwrap();
    let (heard, keys, connections) = (Heard::default(), Arc::default(), Arc::<AtomicUsize>::default());
    let handle: Arc<dyn Fn(Value, Line) + Send + Sync> = Arc::new(handle);
    let task = {
        let (heard, keys, connections) = (Arc::clone(&heard), Arc::clone(&keys), Arc::clone(&connections));
        tokio::spawn(async move {
            loop {
                let Ok((stream, _)) = listener.accept().await else { return };
                let connection = connections.fetch_add(1, Ordering::Relaxed);
                let (reader, writer) = stream.into_split();
                let keys: Option<Arc<Mutex<Vec<String>>>> = keyed.then(|| Arc::clone(&keys));
                tokio::spawn(converse(
                    reader,
                    writer,
                    keys,
                    speaks,
                    connection,
                    Arc::clone(&heard),
                    Arc::clone(&handle),
                ));
            }
        })
    };
    Double { path, heard, keys, connections, task: task.abort_handle(), _folder: folder }
}

/// Serves one byte stream until it ends.
pub(crate) async fn converse(
    reader: impl AsyncRead + Unpin,
    mut writer: impl AsyncWrite + Unpin + Send + 'static,
    keys: Option<Arc<Mutex<Vec<String>>>>,
    speaks: Speaks,
    connection: usize,
    heard: Heard,
    handle: Arc<dyn Fn(Value, Line) + Send + Sync>,
) {
    let (out, mut lines) = mpsc::unbounded_channel::<Vec<u8>>();
    let hang_up = Arc::new(tokio::sync::Notify::new());
    let writing = tokio::spawn(async move {
        while let Some(line) = lines.recv().await {
            if writer.write_all(&line).await.is_err() {
                return;
            }
        }
    });
    let mut reader = BufReader::new(reader).lines();
    if let Some(keys) = keys {
        let Ok(Some(key)) = reader.next_line().await else { return };
        keys.lock().push(key.clone());
        if key != super::KEY {
            return;
        }
    }
    let line = Line { out, hang_up: Arc::clone(&hang_up), connection };
    loop {
        let text = tokio::select! {
            text = reader.next_line() => text,
            () = hang_up.notified() => break,
        };
        let Ok(Some(text)) = text else { break };
        let Ok(message) = serde_json::from_str::<Value>(&text) else {
            heard.lock().push(json!({"malformed": text}));
            continue;
        };
        if !greet(&message, &line, speaks) {
            heard.lock().push(message.clone());
            handle(message, line.clone());
        }
    }
    writing.abort();
}

fn greet(message: &Value, line: &Line, speaks: Speaks) -> bool {
    let method = message["method"].as_str().unwrap_or_default();
    let era = if method == "initialize" { Era::Legacy } else { Era::Modern };
    match (method, speaks.capabilities(era)) {
        ("server/discover", Some(capabilities)) => line.answer(
            message,
            &json!({"supportedVersions": ["2026-07-28"], "capabilities": capabilities, "resultType": "complete"}),
        ),
        ("initialize", Some(capabilities)) => line.answer(
            message,
            &json!({"protocolVersion": "2025-11-25", "capabilities": capabilities,
                    "serverInfo": {"name": "double", "version": "1"}, "echo": message["params"]["capabilities"]}),
        ),
        ("server/discover" | "initialize", None) => {
            line.say(
                &json!({"jsonrpc": "2.0", "id": message["id"], "error": {"code": -32601, "message": "no such method"}}),
            );
        }
        ("notifications/initialized", _) => {}
        _ => return false,
    }
    true
}
