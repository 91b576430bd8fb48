"""`omnimind version`."""

from __future__ import annotations

import platform
from collections.abc import Sequence

import omnimind
from omnimind.cli import options, terminal
from omnimind.errors import Exit


def run(argv: Sequence[str]) -> int:
    """Print the version."""
    parser = options.parser("version", "Print the version.")
    options.add_json(parser)
    if parser.parse_args(argv).json:
        terminal.print_json({"omnimind": omnimind.__version__, "python": platform.python_version()})
    else:
        print(f"omnimind {omnimind.__version__}")
    return Exit.OK
