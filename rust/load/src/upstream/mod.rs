//! A server that costs next to nothing: one tool, `echo`, both eras, over HTTP, a Unix socket, or stdio.
//!
//! It reads only the outside of a message and copies what it returns, so that what is measured is what lies in front
//! of it. It is no model of a server: cancelled calls are answered all the same, sessions are handed out and never
//! checked.

mod answer;
mod http;
mod lines;
mod stdio;

use std::ops::RangeInclusive;
use std::path::Path;
use std::time::Duration;

pub use answer::{Answer, Eras, answer};
pub use http::serve_http;
pub use lines::serve_unix;
pub use stdio::serve_stdio;

use crate::chance::Chance;

/// How the upstream behaves.
#[derive(Clone, Debug)]
pub struct Behaviour {
    /// The eras it speaks.
    pub eras: Eras,
    /// Milliseconds a call takes: a number drawn anew for each call.
    pub delay_ms: RangeInclusive<u64>,
}

impl Behaviour {
    fn delay(&self, chance: &mut Chance) -> Duration {
        let (least, most) = (*self.delay_ms.start(), *self.delay_ms.end());
        Duration::from_millis(least + chance.below(most.saturating_sub(least) + 1))
    }

    fn delays(&self) -> bool {
        *self.delay_ms.end() > 0
    }
}

/// Frees a socket's name for a new listener: only if it is a socket nobody listens on.
fn free_name(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::FileTypeExt;
    match std::fs::symlink_metadata(path) {
        Err(_) => Ok(()),
        Ok(found) if !found.file_type().is_socket() => Err(std::io::Error::new(
            std::io::ErrorKind::AlreadyExists,
            "the path is taken by something that is no socket",
        )),
        Ok(_) => match std::os::unix::net::UnixStream::connect(path) {
            Ok(_) => Err(std::io::Error::new(std::io::ErrorKind::AddrInUse, "another process listens on this socket")),
            Err(_) => std::fs::remove_file(path),
        },
    }
}
