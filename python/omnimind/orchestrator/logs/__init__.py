"""What the fleet's processes print, from a pipe to files that stay small and hold no secret.

`files` is the door: one log a server. A line goes through `redact`, `intake` (rate), `repeats` (folding) and
`rotating` (size and age) to its segments. What readers use too is in `omnimind.logfiles`.
"""
