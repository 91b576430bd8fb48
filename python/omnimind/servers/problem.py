"""The one exception of the domain modules for what a caller can put right."""

from __future__ import annotations


class Problem(Exception):
    """A request that cannot be served as it stands. The text says why and what to do instead."""
