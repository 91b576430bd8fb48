"""`omnimind explain CODE`: what an error code means."""

from __future__ import annotations

from collections.abc import Sequence

from omnimind.cli import options
from omnimind.errors import CODES, Exit, UsageError, closest


def run(argv: Sequence[str]) -> int:
    """Print the meaning of one code, or of all."""
    parser = options.parser("explain", "Say what an error code means; all of them without one.")
    parser.add_argument("code", metavar="CODE", nargs="?", help="such as OM0107")
    code = parser.parse_args(argv).code
    if code is None:
        print("\n".join(f"{known}  {meaning}" for known, meaning in CODES.items()))
        return Exit.OK
    code = code.upper()
    if code not in CODES:
        near = closest(code, tuple(CODES))
        raise UsageError(
            "OM0100",
            f"there is no error code {code}",
            help=f"did you mean {near}?" if near else "list them: omnimind explain",
        )
    print(f"{code}: {CODES[code]}")
    return Exit.OK
