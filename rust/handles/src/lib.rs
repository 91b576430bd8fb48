//! The originals of what was cut, for a day: whoever reads a text in fewer tokens can have every byte of it back.
//!
//! An original is kept under its [`Handle`], the BLAKE3 of its bytes, which is what a mark in a cut text names: the
//! same in every process and after every restart. Three rules. **An original is on disk when [`Store::put`] returns**:
//! a kill takes nothing that was acknowledged (a power cut may take the last moments). **A handle is one principal's**:
//! for another it is not found, as one that never was. **What is read is what was put, or an error**: bytes are hashed
//! again before they are given.
//!
//! The store is one `SQLite` file in WAL mode, so that gateway, workers and commands use it at once, each with a
//! connection of its own. It is a memory with an end: what nobody put again for a day goes, and what was used the
//! longest ago goes first where room is short. A file that is damaged as a whole is set aside, and a new one begun.
//!
//! - `name`: how a handle is written; `trouble`: what can go wrong, in words.
//! - `file`: folder, file, version, what is set aside; `schema`: the tables.
//! - `store`: put and get; `room`: what goes, and when.
//!
//! Time is an argument, in milliseconds since the Unix epoch: what is kept outlives the process and its clock. Every
//! method blocks until it is done, up to some seconds where another process holds the file.

#![forbid(unsafe_code)]

mod file;
mod name;
mod room;
mod schema;
mod store;
mod trouble;

pub use name::hex;
pub use store::Store;
pub use trouble::Trouble;

/// BLAKE3 of an original.
pub type Handle = [u8; 32];

/// How much is kept, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Bytes of all originals together, as they are kept: packed, with what is said of them.
    pub bytes: u64,
    /// Bytes of one principal's.
    pub principal_bytes: u64,
    /// How long after its last put an original is kept, in milliseconds.
    pub ttl_ms: u64,
}

impl Default for Bounds {
    /// 1 GiB, 256 MiB a principal, 24 hours.
    fn default() -> Self {
        Self { bytes: 1 << 30, principal_bytes: 256 << 20, ttl_ms: 24 * 3_600_000 }
    }
}

/// Something to keep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Original<'a> {
    /// All of it.
    pub bytes: &'a [u8],
    /// Its MIME type; empty if that is not known.
    pub mime: &'a str,
    /// Where it came from: server and tool (`git/log`), or a file.
    pub from: &'a str,
}

/// An original, as it was put.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// Its name in full.
    pub handle: Handle,
    /// All of it; these bytes hash to `handle`.
    pub bytes: Vec<u8>,
    /// As the last put said.
    pub mime: String,
    /// As the last put said.
    pub from: String,
    /// When it was put the last time, in milliseconds since the epoch.
    pub put_ms: u64,
    /// From then on it is not found, in milliseconds since the epoch.
    pub until_ms: u64,
}

/// What is in the store.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Held {
    /// How many originals.
    pub originals: u64,
    /// What they count for; see [`Bounds`].
    pub bytes: u64,
}
