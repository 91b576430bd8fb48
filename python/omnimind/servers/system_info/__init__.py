"""Facts about this machine, each read from where the kernel keeps it."""
