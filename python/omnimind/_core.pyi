"""The Rust parts of OmniMind: the data plane, the token bucket and the counting of tokens.

Everything crosses as bytes and numbers. Importing this module starts no thread.
"""

from typing import Literal, final

__all__ = ["Gateway", "LineMatcher", "Refusal", "TokenBucket", "__version__", "count_tokens"]

__version__: str

def count_tokens(text: str) -> int:
    """The tokens of a text in the vocabulary `o200k_base`, exactly.

    The first call unpacks the vocabulary (tens of milliseconds). Runs without the interpreter. Raises
    UnicodeEncodeError for a text with lone surrogates.
    """

@final
class Gateway:
    """A running data plane: listeners, sessions, upstream connections, on threads of its own.

    It runs no Python. Control messages are JSON as bytes (`omnimind.gateway.link` says which); a descriptor
    passed in is owned by the gateway from then on, also when the call fails.
    """

    def __new__(cls, start: bytes, listeners: list[int]) -> Gateway:
        """Start serving.

        `start` is the start message; `listeners` are bound, listening TCP sockets in the order it names them.
        Raises ValueError for a message it cannot read, OSError when the system refuses threads or sockets.
        """

    def tell(self, message: bytes, descriptors: list[int]) -> None:
        """Pass one control message with the descriptors of its packet.

        Raises ValueError for a message it does not know, OSError for a listening socket it cannot use.
        """

    def events_fd(self) -> int:
        """A descriptor that is readable while `events()` has something; it stays the gateway's."""

    def events(self) -> list[str]:
        """All messages for the orchestrator since the last call, each one JSON object.

        After the control message `drain` one of them is `drained`: nothing is open any more, or time is up.
        """

    def drain(self, timeout_ms: int) -> None:
        """Stop accepting, let what is in flight finish for at most `timeout_ms`, end all threads.

        Blocks without holding the interpreter. Later calls of any method but this raise RuntimeError.
        """

@final
class Refusal:
    """A refusal of a `TokenBucket`: false, and exactly how long to wait. Equal to another that says the same."""

    @property
    def retry_after_ns(self) -> int:
        """Nanoseconds after which the same call is admitted, unless others come first. At least 1."""

    @property
    def retry_after_s(self) -> float:
        """The same wait in seconds."""

    def __bool__(self) -> Literal[False]: ...
    def __eq__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...

@final
class TokenBucket:
    """A rate limit for one key: `rate_per_s` tokens come back each second, a full bucket holds `burst`.

    Over any stretch of t seconds at most rate_per_s * t + burst is admitted. Safe from any thread, free of locks
    and of threads of its own. Instants are nanoseconds since an origin of the caller's choice (`now_ns`), else
    since the bucket was made; on one bucket use either, never both.
    """

    def __new__(cls, rate_per_s: float, burst: float) -> TokenBucket:
        """A full bucket. Raises ValueError unless 0 < rate_per_s <= 1e9 and 0 < burst."""

    def try_take(self, cost: float = 1.0, *, now_ns: int | None = None) -> Literal[True] | Refusal:
        """Take `cost` tokens now, or say how long to wait; a refusal takes nothing.

        Raises ValueError if the cost is negative, not finite, or above the burst (it could never be admitted).
        """

    def set_rate(self, rate_per_s: float, burst: float | None = None, *, now_ns: int | None = None) -> None:
        """Change the rate, and the burst if given, for all threads at once.

        Tokens already taken stay taken. Raises ValueError as the constructor does; the old values stay then.
        """

    def available(self, *, now_ns: int | None = None) -> float:
        """Tokens that could be taken now."""

    @property
    def rate_per_s(self) -> float:
        """Tokens that come back each second."""

    @property
    def burst(self) -> float:
        """Tokens a full bucket holds."""

@final
class LineMatcher:
    """A regular expression for lines of text as UTF-8, in time linear in the line whatever the pattern.

    The syntax is Rust's: no look-around and no back-references. Holds no lock and needs no interpreter to search.
    """

    def __new__(cls, pattern: str, *, ignore_case: bool = False) -> LineMatcher:
        """Raises ValueError, with words that say where, for a pattern that is wrong or too large."""

    def search(self, line: bytes) -> bool:
        """True if the line holds the pattern."""

    def filter(self, lines: list[bytes], budget_ms: int) -> tuple[list[int], int]:
        """Which of the lines hold it, and how many were looked at before the time was over; at least one."""
