//! The edge: everything between a TCP connection and a handler, and back.
//!
//! It refuses by default, in this order: connection cap, head limits, Host, Origin, route, method, token,
//! content type, body limits, envelope. Each refusal is a readable JSON-RPC error with its own status; a
//! body that comes with it is drained within bounds, so that the client can read the answer and the next
//! request on the connection starts where it should.

mod authenticate;
mod body;
mod connection;
mod data;
mod encoder;
mod encoding;
mod familiar;
mod listen;
mod places;
mod pulse;
mod refuse;
pub(crate) mod respond;
mod route;
mod seldom;
mod service;

pub(crate) use authenticate::{Tokens, digest};
pub(crate) use listen::Doors;
