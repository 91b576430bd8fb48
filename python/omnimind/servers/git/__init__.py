"""The git server: repositories beneath the folders that its operator named, read and changed through libgit2."""
