"""Runs pip inside the jail. It unpacks wheels of strangers, and runs nothing of them."""

from __future__ import annotations

import sys


def run(arguments: list[str]) -> int:
    """pip's exit code for these arguments; what it says goes to stdout and stderr."""
    sys.argv = ["pip", *arguments]
    from pip._internal.cli.main import main

    return int(main(arguments))
