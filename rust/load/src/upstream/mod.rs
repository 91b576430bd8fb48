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
use std::time::{Duration, Instant};

pub use answer::{Answer, answer};
pub use http::serve_http;
pub use lines::serve_unix;
pub use stdio::serve_stdio;

use crate::chance::Chance;
pub use crate::plan::Eras;

/// How the upstream behaves.
#[derive(Clone, Debug)]
pub struct Behaviour {
    /// The eras it speaks.
    pub eras: Eras,
    /// Milliseconds a call takes: a number drawn anew for each call.
    pub delay_ms: RangeInclusive<u64>,
    /// Over HTTP: when nobody is answered.
    pub stall: Option<Stall>,
}

/// A server that stands still every now and then: what is asked meanwhile is answered at the end of it.
#[derive(Clone, Copy, Debug)]
pub struct Stall {
    /// For so long,
    pub length: Duration,
    /// at the end of every stretch of this length.
    pub every: Duration,
}

impl Stall {
    /// How long an answer must wait that is ready so long after the start.
    fn left(self, since_start: Duration) -> Duration {
        let every = self.every.max(Duration::from_millis(1));
        let into = since_start.as_nanos() % every.as_nanos();
        let left = every.saturating_sub(Duration::from_nanos(u64::try_from(into).unwrap_or(u64::MAX)));
        if left <= self.length { left } else { Duration::ZERO }
    }
}

impl Behaviour {
    fn delay(&self, chance: &mut Chance) -> Duration {
        let (least, most) = (*self.delay_ms.start(), *self.delay_ms.end());
        Duration::from_millis(least + chance.below(most.saturating_sub(least) + 1))
    }

    /// How long the answer to a call is held back.
    fn hold(&self, chance: &mut Chance, started: Instant) -> Duration {
        let delay = self.delay(chance);
        delay + self.stall.map_or(Duration::ZERO, |stall| stall.left(started.elapsed() + delay))
    }

    fn delays(&self) -> bool {
        *self.delay_ms.end() > 0 || self.stall.is_some()
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Stall;

    #[test]
    fn a_stall_holds_what_comes_in_it_until_its_end() {
        let stall = Stall { length: Duration::from_millis(200), every: Duration::from_secs(2) };
        let left = |ms| stall.left(Duration::from_millis(ms)).as_millis();
        assert_eq!([left(0), left(1_799), left(1_800), left(1_950), left(2_000), left(3_900)], [0, 0, 200, 50, 0, 100]);
    }
}
