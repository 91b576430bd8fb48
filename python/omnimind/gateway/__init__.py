"""The gateway process: Rust serves, Python only passes control messages."""
