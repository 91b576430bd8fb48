//! The rim: omnimind._core.

