//! The doors: sockets somebody else holds, and accepting connections on them, up to a number in all.
//!
//! A door that closes stops accepting at once; the socket stays open in its holder, and what waits in its backlog
//! is served by the next gateway. What came in before sees that the door closes and finishes by itself, so that
//! nothing is cut off.

use std::{io, net::TcpListener as StdListener, os::fd::OwnedFd, sync::Arc, time::Duration};

use parking_lot::Mutex;
use tokio::{
    net::TcpListener,
    sync::{Semaphore, watch},
};

use super::{connection, route::Door};
use crate::plane::Plane;

/// Waits this long after the kernel refused a connection (no descriptors left), so as not to spin.
const PAUSE: Duration = Duration::from_millis(50);
/// The name of the door that leads to all endpoints.
const GATEWAY: &str = "gateway";

/// A door as its connections see it.
#[derive(Debug)]
pub(crate) struct Entrance {
    /// Where it leads.
    pub(crate) door: Door,
    closing: watch::Receiver<bool>,
}

impl Entrance {
    /// True once nobody new comes in here.
    pub(crate) fn is_closing(&self) -> bool {
        *self.closing.borrow()
    }

    /// Becomes true once.
    pub(crate) fn closing(&self) -> watch::Receiver<bool> {
        self.closing.clone()
    }
}

/// The name of a door, and the way to close it.
type Named = (String, watch::Sender<bool>);

/// All doors of a process.
#[derive(Debug)]
pub(crate) struct Doors {
    /// None once they are all closed for good.
    open: Mutex<Option<Vec<Named>>>,
    places: Arc<Semaphore>,
    /// Cloned by every acceptor for as long as it runs.
    accepting: Arc<()>,
}

impl Doors {
    /// No doors, and room for so many connections.
    pub(crate) fn new(connections: usize) -> Self {
        let places = Arc::new(Semaphore::new(connections.min(Semaphore::MAX_PERMITS)));
        Self { open: Mutex::new(Some(Vec::new())), places, accepting: Arc::new(()) }
    }

    /// Begins to accept on a listening socket; not any more once all doors are closed. Called inside the runtime.
    pub(crate) fn open(&self, plane: &Arc<Plane>, name: &str, socket: OwnedFd) -> io::Result<()> {
        let mut open = self.open.lock();
        let Some(open) = open.as_mut() else { return Ok(()) };
        let listener = StdListener::from(socket);
        listener.set_nonblocking(true)?;
        let listener = TcpListener::from_std(listener)?;
        let (sender, closing) = watch::channel(false);
        let door = if name == GATEWAY { Door::Gateway } else { Door::Server(name.to_owned()) };
        let entrance = Arc::new(Entrance { door, closing });
        tokio::spawn(accept(plane.clone(), listener, entrance, self.places.clone(), self.accepting.clone()));
        open.push((name.to_owned(), sender));
        Ok(())
    }

    /// Closes the doors of a name.
    pub(crate) fn close(&self, name: &str) {
        if let Some(open) = self.open.lock().as_mut() {
            for (_, door) in open.extract_if(.., |(known, _)| known == name) {
                door.send_replace(true);
            }
        }
    }

    /// Closes all doors for good.
    pub(crate) fn close_all(&self) {
        for (_, door) in self.open.lock().take().into_iter().flatten() {
            door.send_replace(true);
        }
    }

    /// True while a connection may still come in.
    pub(crate) fn is_accepting(&self) -> bool {
        Arc::strong_count(&self.accepting) > 1
    }
}

/// Accepts until the door closes.
async fn accept(
    plane: Arc<Plane>,
    listener: TcpListener,
    entrance: Arc<Entrance>,
    places: Arc<Semaphore>,
    _accepting: Arc<()>,
) {
    let mut closing = entrance.closing();
    loop {
        let place = tokio::select! {
            biased;
            _ = closing.wait_for(|closing| *closing) => return,
            place = places.clone().acquire_owned() => place,
        };
        let Ok(place) = place else { return };
        let accepted = tokio::select! {
            biased;
            _ = closing.wait_for(|closing| *closing) => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _peer)) => {
                let _ = stream.set_nodelay(true);
                let counted = plane.metrics.connection();
                let served = connection::serve(plane.clone(), entrance.clone(), stream);
                tokio::spawn(async move {
                    served.await;
                    drop(counted);
                    drop(place);
                });
            }
            Err(error) if is_of_one_connection(&error) => {}
            Err(_) => tokio::time::sleep(PAUSE).await,
        }
    }
}

/// Errors that concern the one connection that was to be accepted, not the listener.
fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionRefused
    )
}
