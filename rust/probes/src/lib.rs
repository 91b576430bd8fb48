//! Static probes of the gateway (USDT): places in its machine code that `bpftrace`, `perf` and their like find by name.
//!
//! ```text
//! omnimind:request__start(server, id, method)
//! omnimind:request__done(server, id, method, tool, µs, outcome)
//! omnimind:cache__hit(level)
//! omnimind:limiter__reject(reason)
//! omnimind:restart(server)
//! ```
//!
//! The rule: what nobody watches costs one load and one branch. A probe is an instruction that does nothing, and a note
//! in the file that says where it is, where its arguments are and where its semaphore is: a counter that the kernel
//! raises while somebody watches. Arguments are made ready only then; whoever has to look one up first asks `is_on`.
//!
//! Texts are passed by their address and end with a zero byte, as `str()` of bpftrace reads them; they are cut after
//! [`LONGEST`] bytes. Elsewhere than on Linux on x86-64 or aarch64 there are no probes, and nobody ever watches.

#[cfg_attr(not(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64"))), path = "nowhere.rs")]
mod site;
mod text;

pub use text::LONGEST;
use text::Text;

/// A request whose server is known goes on its way.
pub mod request_start {
    use super::Text;
    pub use crate::site::request_start::is_on;
    use crate::site::request_start::place;

    /// Tells who watches.
    #[cold]
    #[inline(never)]
    pub fn fire(server: &str, id: &[u8], method: &str) {
        let [server, id, method] = [server.as_bytes(), id, method.as_bytes()].map(Text::of);
        place(server.address(), id.address(), method.address());
    }
}

/// A request has ended.
pub mod request_done {
    use super::Text;
    pub use crate::site::request_done::is_on;
    use crate::site::request_done::place;

    /// Tells who watches; `tool` is empty for what calls none.
    #[cold]
    #[inline(never)]
    pub fn fire(server: &str, id: &[u8], method: &str, tool: &str, micros: u64, outcome: &str) {
        let texts = [server.as_bytes(), id, method.as_bytes(), tool.as_bytes(), outcome.as_bytes()];
        let [server, id, method, tool, outcome] = texts.map(Text::of);
        place(server.address(), id.address(), method.address(), tool.address(), micros, outcome.address());
    }
}

/// A request was answered from memory.
pub mod cache_hit {
    use super::Text;
    pub use crate::site::cache_hit::is_on;
    use crate::site::cache_hit::place;

    /// Tells who watches at which level.
    #[cold]
    #[inline(never)]
    pub fn fire(level: &str) {
        let level = Text::of(level.as_bytes());
        place(level.address());
    }
}

/// A call was not started, for want of room or rate.
pub mod limiter_reject {
    use super::Text;
    pub use crate::site::limiter_reject::is_on;
    use crate::site::limiter_reject::place;

    /// Tells who watches why.
    #[cold]
    #[inline(never)]
    pub fn fire(reason: &str) {
        let reason = Text::of(reason.as_bytes());
        place(reason.address());
    }
}

/// A server has begun anew.
pub mod restart {
    use super::Text;
    pub use crate::site::restart::is_on;
    use crate::site::restart::place;

    /// Tells who watches which.
    #[cold]
    #[inline(never)]
    pub fn fire(server: &str) {
        let server = Text::of(server.as_bytes());
        place(server.address());
    }
}
