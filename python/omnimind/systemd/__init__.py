"""systemd: what a process says to it and takes from it, where a unit meets the gateway, and the units themselves.

Importing this package, `notify`, `listen_fds` and `rendezvous` costs next to nothing: the guard does it.
"""
