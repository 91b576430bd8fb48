"""Fewer tokens for the same facts: the typed face of the Rust parts."""
