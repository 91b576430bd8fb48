//! Accepting connections, up to a number, from sockets somebody else holds.

use std::{io, sync::Arc, time::Duration};

use tokio::{
    net::TcpListener,
    sync::{OwnedSemaphorePermit, Semaphore},
};

use super::{connection, route::Door};
use crate::plane::Plane;

/// Waits this long after the kernel refused a connection (no descriptors left), so as not to spin.
const PAUSE: Duration = Duration::from_millis(50);

/// Accepts until the plane drains. The socket stays open in its holder: what waits in its backlog then
/// is served by the next gateway.
pub(crate) async fn accept(plane: Arc<Plane>, listener: TcpListener, door: Door, places: Arc<Semaphore>) {
    let door = Arc::new(door);
    let mut draining = plane.draining();
    loop {
        let place = tokio::select! {
            _ = draining.wait_for(|drain| *drain) => return,
            place = places.clone().acquire_owned() => place,
        };
        let Ok(place) = place else { return };
        let accepted = tokio::select! {
            _ = draining.wait_for(|drain| *drain) => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _peer)) => {
                let _ = stream.set_nodelay(true);
                tokio::spawn(hold(place, connection::serve(plane.clone(), door.clone(), stream)));
            }
            Err(error) if is_of_one_connection(&error) => {}
            Err(_) => tokio::time::sleep(PAUSE).await,
        }
    }
}

async fn hold(place: OwnedSemaphorePermit, connection: impl Future<Output = ()>) {
    connection.await;
    drop(place);
}

/// Errors that concern the one connection that was to be accepted, not the listener.
fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionRefused
    )
}
