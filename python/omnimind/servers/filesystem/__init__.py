"""The filesystem server: files and folders beneath the roots that its operator named, nothing else."""
