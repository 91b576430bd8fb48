//! An HTTP/1.1 server made of a socket, which does what the path of a request says.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use parking_lot::Mutex;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::{AbortHandle, JoinSet},
    time::{sleep, timeout},
};

/// The server.
pub(crate) struct One {
    pub(crate) url: String,
    pub(crate) seen: Arc<Seen>,
    task: AbortHandle,
}

/// What it has seen.
#[derive(Default)]
pub(crate) struct Seen {
    /// Paths, in the order they came.
    pub(crate) paths: Mutex<Vec<String>>,
    /// Over which connection each of them came.
    pub(crate) by: Mutex<Vec<usize>>,
    /// Connections so far.
    pub(crate) connections: AtomicUsize,
    /// Open now.
    pub(crate) open: AtomicUsize,
    /// Most that were open at once.
    pub(crate) most: AtomicUsize,
    /// Slow requests being worked on, and most of them at once.
    pub(crate) slow: AtomicUsize,
    pub(crate) most_slow: AtomicUsize,
    /// A connection that begins to wait for a request closes after this instead of the usual time; once.
    pub(crate) impatient: Mutex<Option<Duration>>,
    /// A header more.
    pub(crate) header: Mutex<String>,
}

impl Drop for One {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Starts one that closes a connection when it has rested so long.
pub(crate) async fn one(idle: Duration) -> One {
    on(TcpListener::bind("127.0.0.1:0").await.unwrap(), idle)
}

/// The same on a given socket.
pub(crate) fn on(listener: TcpListener, idle: Duration) -> One {
    let url = format!("http://{}", listener.local_addr().unwrap());
    let seen = Arc::<Seen>::default();
    let shared = Arc::clone(&seen);
    let task = tokio::spawn(async move {
        let mut serving = JoinSet::new();
        while let Ok((stream, _)) = listener.accept().await {
            let seen = Arc::clone(&shared);
            serving.spawn(async move {
                let number = seen.connections.fetch_add(1, Relaxed);
                seen.most.fetch_max(seen.open.fetch_add(1, Relaxed) + 1, Relaxed);
                let _ = serve(stream, number, &seen, idle).await;
                seen.open.fetch_sub(1, Relaxed);
            });
        }
    });
    One { url, seen, task: task.abort_handle() }
}

async fn serve(mut stream: TcpStream, number: usize, seen: &Seen, idle: Duration) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    loop {
        let patience = seen.impatient.lock().take().unwrap_or(idle);
        let Ok(path) = timeout(patience, read(&mut stream)).await else { return Ok(()) };
        let Some(path) = path? else { return Ok(()) };
        seen.paths.lock().push(path.clone());
        seen.by.lock().push(number);
        let (word, number) = path[1..].split_once('/').unwrap_or((&path[1..], "0"));
        let number: u64 = number.split('?').next().unwrap().parse().unwrap_or(0);
        let (mut status, mut more) = (200, seen.header.lock().clone());
        match word {
            "slow" => {
                seen.most_slow.fetch_max(seen.slow.fetch_add(1, Relaxed) + 1, Relaxed);
                // A caller that goes away is noticed, as by any server.
                let stays = tokio::select! {
                    () = sleep(Duration::from_millis(number)) => true,
                    _ = stream.read_u8() => false,
                };
                seen.slow.fetch_sub(1, Relaxed);
                if !stays {
                    return Ok(());
                }
            }
            "status" => status = number,
            "close" => more.push_str("connection: close\r\n"),
            "die" => return Ok(()),
            "large" => {
                stream.write_all(format!("HTTP/1.1 200 OK\r\ncontent-length: {number}\r\n\r\n").as_bytes()).await?;
                stream.write_all(&vec![b'x'; usize::try_from(number).unwrap_or_default()]).await?;
                continue;
            }
            "half" => {
                stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf").await?;
                let _ = stream.read_u8().await;
                return Ok(());
            }
            _ => {}
        }
        let answer = format!("HTTP/1.1 {status} X\r\n{more}content-length: {}\r\n\r\n{path}", path.len());
        stream.write_all(answer.as_bytes()).await?;
        if word == "close" {
            return Ok(());
        }
    }
}

/// The path of the next request, once all of it is here; none if there is none.
async fn read(stream: &mut TcpStream) -> std::io::Result<Option<String>> {
    let mut heard = Vec::new();
    loop {
        if stream.read_buf(&mut heard).await? == 0 {
            return Ok(None);
        }
        let text = String::from_utf8_lossy(&heard);
        // Every request of these tests has a body of two bytes.
        if let Some((head, body)) = text.split_once("\r\n\r\n")
            && body.len() == 2
        {
            return Ok(head.split(' ').nth(1).map(str::to_owned));
        }
    }
}
