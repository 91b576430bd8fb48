//! The isolation run: many principals ask the same at once, and every answer must be the caller's own.
//!
//! All use the same ids and arguments out of a small pool, so that whatever a cache keeps under too little, or for too
//! long, comes to light. [`serve_vault`] answers with marks that only the right caller may see; [`run`] asks, looks at
//! every mark of every answer, and counts two things that must not be: a *crossing* (an answer, or a part of one, that was
//! made for another principal, server, era, id or question) and a *stale* answer (to a call that began after a later
//! write was acknowledged to anyone). Who is who changes while it runs: the test says so over the input.

mod asks;
mod book;
mod drive;
mod script;
mod token;
mod vault;

pub use drive::run;
pub use script::Script;
pub use vault::{Instance, serve_vault};
