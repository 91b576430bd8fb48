//! Opening connections: to a worker, to a stranger's Unix socket, to a child's pipes.
//!
//! A worker is ours: it gets the instance key as its first line, and speaks the era that is wished. A stranger
//! on a Unix socket is asked (`server/discover`), and greeted with `initialize` on a fresh connection if that is
//! not understood, as many servers take their era from the first request of a connection. A child was asked
//! by the orchestrator before its pipes came here.

use std::{
    fs::File,
    future::poll_fn,
    io,
    os::fd::{AsRawFd, OwnedFd},
    path::Path,
    sync::Arc,
    time::Duration,
};

use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use omnimind_wire::{Era, LEGACY_LATEST, LEGACY_VERSIONS, MODERN_VERSION, Reason, Refusal, bridge, json};
use tokio::{
    net::{UnixStream, unix::pipe},
    time::timeout,
};

use super::{
    Call, Event, Failure, Negotiated,
    attach::Circle,
    pipe::{Pipe, Terms},
    spool::Spool,
};
use crate::control::ChildAnswer;

/// A path longer than this does not fit a socket address.
const ADDRESS_BYTES: usize = 107;
/// A greeting must be answered within this.
const GREETING: Duration = Duration::from_secs(5);

/// What all connections to a server have in common.
#[derive(Debug, Clone)]
pub(super) struct Peer {
    /// Name of the server.
    pub server: Arc<str>,
    /// Number of this gateway process.
    pub epoch: u32,
    /// Version of this distribution.
    pub own_version: Arc<str>,
    /// Where long answers go.
    pub spool: Arc<Spool>,
}

/// Connects to a first-party worker.
pub(super) async fn worker(
    peer: &Peer,
    path: &Path,
    key: &str,
    era: Era,
    circle: &Arc<Circle>,
) -> Result<(Negotiated, Pipe), Refusal> {
    let stream = dial(path).await.map_err(|error| peer.unreachable(&error.to_string()))?;
    let mut opening = key.as_bytes().to_vec();
    opening.push(b'\n');
    let pipe = peer.over(stream, true, opening, circle);
    let negotiated = match era {
        Era::Modern => peer.discover(&pipe).await,
        Era::Legacy => peer.initialize(&pipe, b"{}").await,
    };
    Ok((negotiated.map_err(|failure| peer.unmet(failure))?, pipe))
}

/// Connects to a third party's Unix socket, in the wished era or in the other.
pub(super) async fn unix(
    peer: &Peer,
    path: &Path,
    era: Era,
    capabilities: &[u8],
    circle: &Arc<Circle>,
) -> Result<(Negotiated, Pipe, Arc<Circle>), Refusal> {
    let mut first = None;
    for (era, circle) in [(era, Arc::clone(circle)), (other(era), circle.another())] {
        let stream = dial(path).await.map_err(|error| peer.unreachable(&error.to_string()))?;
        let pipe = peer.over(stream, false, Vec::new(), &circle);
        let met = match era {
            Era::Modern => peer.discover(&pipe).await,
            Era::Legacy => peer.initialize(&pipe, capabilities).await,
        };
        match met {
            Ok(negotiated) => return Ok((negotiated, pipe, circle)),
            Err(failure) => first = first.or(Some(failure)),
        }
    }
    Err(first.map_or_else(|| peer.unreachable("nothing was tried"), |failure| peer.unmet(failure)))
}

fn other(era: Era) -> Era {
    match era {
        Era::Modern => Era::Legacy,
        Era::Legacy => Era::Modern,
    }
}

/// Takes a child's pipes (its stdin and stdout) into use.
pub(super) fn child(
    peer: &Peer,
    answer: &ChildAnswer,
    descriptors: Vec<OwnedFd>,
    quiet: Duration,
    circle: &Arc<Circle>,
) -> Result<(Negotiated, Pipe), Refusal> {
    let broken = |why: &str| peer.unreachable(&format!("its pipes cannot be used: {why}"));
    let Ok([stdin, stdout]) = <[OwnedFd; 2]>::try_from(descriptors) else { return Err(broken("there are not two")) };
    let spec = answer.negotiated.as_ref().ok_or_else(|| broken("nothing was agreed with it"))?;
    let negotiated = Negotiated {
        era: if spec.era == "modern" { Era::Modern } else { Era::Legacy },
        version: Arc::from(&*spec.version),
        result: Bytes::copy_from_slice(spec.result.get().as_bytes()),
    };
    let leftover = answer.leftover.as_deref().map(|text| STANDARD.decode(text)).transpose();
    let terms = Terms {
        server: Arc::clone(&peer.server),
        epoch: peer.epoch,
        trusted: false,
        spool: Arc::clone(&peer.spool),
        opening: if answer.inherited { b"\n".to_vec() } else { Vec::new() },
        leftover: leftover.map_err(|error| broken(&error.to_string()))?.unwrap_or_default().into(),
        inherited: answer.inherited.then_some(quiet),
    };
    let writer = unblock(&stdin)
        .and_then(|()| pipe::Sender::from_owned_fd(stdin))
        .map_err(|error| broken(&error.to_string()))?;
    let reader = unblock(&stdout)
        .and_then(|()| pipe::Receiver::from_owned_fd(stdout))
        .map_err(|error| broken(&error.to_string()))?;
    Ok((negotiated, Pipe::open(reader, writer, terms, Arc::clone(circle))))
}

fn unblock(descriptor: &OwnedFd) -> io::Result<()> {
    let flags = rustix::fs::fcntl_getfl(descriptor)?;
    rustix::fs::fcntl_setfl(descriptor, flags | rustix::fs::OFlags::NONBLOCK)?;
    Ok(())
}

/// Connects to a Unix socket whose path may be longer than an address holds: then by way of its folder.
async fn dial(path: &Path) -> io::Result<UnixStream> {
    if path.as_os_str().len() <= ADDRESS_BYTES {
        return UnixStream::connect(path).await;
    }
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "the path names no file"));
    };
    let folder = File::open(folder)?;
    UnixStream::connect(Path::new("/proc/self/fd").join(folder.as_raw_fd().to_string()).join(name)).await
}

impl Peer {
    fn over(&self, stream: UnixStream, trusted: bool, opening: Vec<u8>, circle: &Arc<Circle>) -> Pipe {
        let (reader, writer) = stream.into_split();
        let terms = Terms {
            server: Arc::clone(&self.server),
            epoch: self.epoch,
            trusted,
            spool: Arc::clone(&self.spool),
            opening,
            leftover: Bytes::new(),
            inherited: None,
        };
        Pipe::open(reader, writer, terms, Arc::clone(circle))
    }

    async fn discover(&self, pipe: &Pipe) -> Result<Negotiated, Failure> {
        let result = self.greet(pipe, "server/discover", self.envelope()).await?;
        match bridge::common_modern_version(&result) {
            Ok(Some(version)) => Ok(Negotiated { era: Era::Modern, version: Arc::from(version), result }),
            _ => Err(Failure::Refused(self.unreachable("it names no version of the modern era"))),
        }
    }

    async fn initialize(&self, pipe: &Pipe, capabilities: &[u8]) -> Result<Negotiated, Failure> {
        let mut params = format!("{{\"protocolVersion\":\"{LEGACY_LATEST}\",\"capabilities\":").into_bytes();
        params.extend_from_slice(if capabilities.is_empty() { b"{}" } else { capabilities });
        params.extend_from_slice(b",\"clientInfo\":");
        params.extend_from_slice(&self.own_info());
        params.push(b'}');
        let result = self.greet(pipe, "initialize", params.into()).await?;
        let version =
            json::find(&result, &["protocolVersion"]).ok().flatten().and_then(json::as_str).unwrap_or_default();
        let Some(known) = LEGACY_VERSIONS.into_iter().find(|known| **known == *version) else {
            return Err(Failure::Refused(self.unreachable(&format!("it answered with protocol version {version:?}"))));
        };
        pipe.notify("notifications/initialized", b"");
        Ok(Negotiated { era: Era::Legacy, version: Arc::from(known), result: result.clone() })
    }

    /// One request before anyone else is on the connection.
    async fn greet(&self, pipe: &Pipe, method: &str, params: Bytes) -> Result<Bytes, Failure> {
        let call = Call {
            id: Bytes::from_static(b"0"),
            method: Arc::from(method),
            params,
            headers: Vec::new(),
            operator: false,
            idle: None,
            deadline: None,
            trace: None,
        };
        let mut greeting = pipe.call(call, 0, &Arc::from(""));
        let answer = async {
            loop {
                if let Event::End(outcome) = poll_fn(|cx| greeting.poll(cx)).await {
                    return outcome;
                }
            }
        };
        timeout(GREETING, answer).await.unwrap_or_else(|_| {
            Err(Failure::Refused(
                self.unreachable(&format!("it did not answer {method} within {} s", GREETING.as_secs())),
            ))
        })
    }

    /// A question that every server of this era answers at once: method and params.
    pub(super) fn ping(&self, era: Era) -> (&'static str, Bytes) {
        match era {
            Era::Legacy => ("ping", Bytes::new()),
            Era::Modern => ("server/discover", self.envelope()),
        }
    }

    /// Params that say who asks, and no more.
    fn envelope(&self) -> Bytes {
        let meta = bridge::request_meta(MODERN_VERSION, Some(&self.own_info()), None, None);
        let mut params = b"{\"_meta\":".to_vec();
        params.extend_from_slice(&meta);
        params.push(b'}');
        params.into()
    }

    fn own_info(&self) -> Vec<u8> {
        let mut out = b"{\"name\":\"omnimind\",\"version\":".to_vec();
        json::push_quoted(&mut out, &self.own_version);
        out.push(b'}');
        out
    }

    /// A refusal: nothing has been sent for anyone.
    pub(super) fn unreachable(&self, why: &str) -> Refusal {
        let detail = format!("{} cannot be reached: {why}", self.server);
        Refusal::new(Reason::ServerUnavailable, "server", detail).about(&*self.server).retry_after(1_000)
    }

    fn unmet(&self, failure: Failure) -> Refusal {
        match failure {
            Failure::Refused(refusal) => self.unreachable(&refusal.detail),
            Failure::Rpc(error) => self.unreachable(&format!("it did not accept the greeting: {error}")),
        }
    }
}
