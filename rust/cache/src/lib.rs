//! The memory: what was answered before and may be answered again. No network.

#![forbid(unsafe_code)]
