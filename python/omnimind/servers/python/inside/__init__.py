"""What runs on the far side of the jail's wall: the zygote, and what a child does after it has given up everything.

Rule: nothing here knows the worker, MCP or a principal, and nothing imports what the zygote need not hold: its
memory is inherited by code of a stranger.
"""
