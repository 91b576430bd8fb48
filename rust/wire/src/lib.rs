//! The message: JSON-RPC and MCP envelopes of both protocol eras, headers, error codes. No I/O, no clock, no chance.

#![forbid(unsafe_code)]
