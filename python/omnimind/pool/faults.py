"""What went wrong with a request, as errors with a code, numbers and a next step."""

from __future__ import annotations

from omnimind import _core
from omnimind.errors import (
    BrokenResponseError,
    ConnectError,
    PoolTimeoutError,
    ResponseTimeoutError,
    ResponseTooLargeError,
)


def error(fault: _core.Fault, where: str, timeout_s: float) -> Exception:
    """The error for a fault."""
    match fault.kind:
        case "crowded":
            return PoolTimeoutError(where, fault.why, fault.retry_after_s or 0.0)
        case "unreachable":
            return ConnectError(where, fault.why, fault.retry_after_s)
        case "late":
            return ResponseTimeoutError(where, timeout_s)
        case "too_large":
            return ResponseTooLargeError(where, fault.received_bytes, fault.unpacked_bytes, fault.max_ratio)
        case "lost" | "unreadable":
            return BrokenResponseError(where, fault.why, readable=fault.kind == "lost")
        case "closed":
            return RuntimeError("the pool, or the response, is closed")
        case _:
            return RuntimeError(fault.why)


def place(method: str, url: str) -> str:
    """What was asked, without what may be secret in it."""
    return f"{method.upper()} {url.partition('?')[0].partition('#')[0]}"
