"""Linux primitives, one a module: what the rest of the house asks of the kernel beyond the stdlib.

Rule: modules here import the stdlib only (`packets` also msgpack), start no thread and keep no state, so that
the guard, a freshly forked worker and the gateway may all import them. Other systems lack pidfd, PDEATHSIG,
subreapers, sealed memfds and SEQPACKET pairs with descriptors; importing a module there raises `ImportError`
with the name of what is missing.
"""
