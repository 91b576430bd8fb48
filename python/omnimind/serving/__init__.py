"""One server in one process: the Rust plane in front, the SDK server behind it.

This is what a systemd unit runs (`omnimind serve NAME`) and what `omnimind.serve(server)` offers for anyone's
`mcp` SDK server. It stands above both halves, because it is the only place that holds them in one process.
"""
