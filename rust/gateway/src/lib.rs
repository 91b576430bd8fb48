//! The road: tokio and hyper between agents and servers. Only this crate touches request bytes.
//!
//! Rooms, in the order a request meets them: [`edge`] (listeners, refusals, authentication, bodies),
//! [`relay`] (both eras and the bridges between them), [`session`] (what a legacy client has open),
//! [`admission`] (who may call, and when), [`cache`] (what was answered before), [`compress`] (results in fewer tokens),
//! [`aggregate`] (many servers as one),
//! [`upstream`] (pipes, sockets, HTTP), [`pool`] (connections over HTTP). Beside them, [`traces`] tells what became of a
//! request. [`control`] is the link to the orchestrator, [`config`] what it told us. [`client`] is apart: requests of Python programs over the same pools.
//!
//! The rules: nothing of one principal reaches another; a refusal is a value; dropping a call cancels it;
//! no Python runs here.

#![forbid(unsafe_code)]

mod admission;
pub mod aggregate;
pub mod cache;
pub mod client;
mod compress;
pub mod config;
pub mod control;
mod edge;
mod metrics;
pub mod plane;
pub mod pool;
pub mod principal;
pub mod relay;
pub mod reply;
pub mod session;
pub mod traces;
pub mod upstream;

pub use plane::{Gateway, Plane, StartError};
