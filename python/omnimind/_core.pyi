"""The Rust parts of OmniMind: the data plane, the cache, the limits, the HTTP pool and the counting of tokens.

Everything crosses as bytes and numbers, but what a `Cache` keeps by reference. Importing this module starts no
thread.
"""

from collections.abc import Callable
from os import PathLike
from types import GenericAlias
from typing import Any, Generic, Literal, Self, TypeAlias, TypeVar, final, overload

from typing_extensions import disjoint_base

__all__ = [
    "Body",
    "Cache",
    "ConnectionPool",
    "Encoder",
    "Fault",
    "Gateway",
    "Inbox",
    "LineMatcher",
    "LoadRun",
    "Originals",
    "PermitId",
    "Prediction",
    "Predictor",
    "Question",
    "RateLimiter",
    "Refusal",
    "Semantic",
    "Span",
    "Ticket",
    "TokenBucket",
    "__version__",
    "compress",
    "count_tokens",
    "decompress",
    "expand",
    "prune_tools",
    "tool_signatures",
]

__version__: str

_Kind: TypeAlias = Literal[
    "json",
    "jsonl",
    "log",
    "build",
    "trace",
    "diff",
    "code",
    "search",
    "table",
    "prose",
    "html",
    "tools",
    "text",
]

_Critical: TypeAlias = Literal[
    "id",
    "number",
    "date",
    "path",
    "url",
    "version",
    "address",
    "quoted",
    "limit",
    "error",
    "exit",
]

_Form: TypeAlias = Literal["plain", "whole", "cut"]

_Told: TypeAlias = tuple[PermitId | None, str | None, str | None, float]

_K = TypeVar("_K", str, bytes)
_V = TypeVar("_V")
_D = TypeVar("_D")

def count_tokens(text: str) -> int:
    """The tokens of a text in the vocabulary `o200k_base`, exactly.

    The first call unpacks the vocabulary (tens of milliseconds). Runs without the interpreter. Raises
    UnicodeEncodeError for a text with lone surrogates.
    """

_Pressed: TypeAlias = tuple[
    str,
    str,
    tuple[int, int],
    bool,
    list[tuple[_Critical, int, int]],
    list[tuple[str, tuple[int, int], str]],
    int,
    list[tuple[tuple[int, int], tuple[int, int], int, int]],
    list[tuple[_Kind, tuple[int, int], tuple[int, int], tuple[int, int], _Form]],
]

@final
class Encoder:
    """A table of directions by token: what `omnimind.Compressor(embeddings=True)` reads sentences with."""

    def __new__(cls, weights: str | PathLike[str], tokenizer: str | PathLike[str]) -> Self:
        """Read the two files. Raises OSError or ValueError."""

def compress(
    text: str, budget: int | None, query: str, mime: str, name: str, encoder: Encoder | None = None
) -> _Pressed:
    """The work of `omnimind.Compressor.compress`, which says what each part of the answer is.

    That is content, handle, tokens before and after, whether all was preserved; then critical values, what is missing
    and how many more, omissions and blocks. Runs without the interpreter.
    """

def decompress(content: str, blocks: list[tuple[_Kind, tuple[int, int], _Form]]) -> str:
    """The work of `omnimind.compression.decompress`. ValueError if the blocks are not those of the content.

    They are kinds, bytes of the content, and forms. Runs without the interpreter.
    """

def prune_tools(text: str) -> str | None:
    """The work of `omnimind.compression.tool_lists.pruned`; None for what is no list of tools.

    Runs without the interpreter.
    """

def tool_signatures(text: str) -> str | None:
    """The work of `omnimind.compression.tool_lists.signatures`; None for what is no list of tools.

    Runs without the interpreter.
    """

_Expanded: TypeAlias = tuple[str, int, int, int, str | None, tuple[int, int] | None]

def expand(
    text: str,
    max_tokens: int | None,
    *,
    lines: tuple[int, int] | None = None,
    bytes: tuple[int, int] | None = None,
    grep: str | None = None,
    context: int = 0,
    json_path: str | None = None,
    query: str | None = None,
) -> _Expanded:
    """The work of `omnimind.compression.handles.expand`, which says what each part is.

    That is the text, its tokens, what was found and shown, the next place and the bytes that were given instead of
    those asked for. ValueError says what to ask for instead. Runs without the interpreter.
    """

@final
class Originals:
    """The work of `omnimind.compression.handles.Originals`. Every method runs without the interpreter.

    ValueError for what cannot be a handle, OSError for what the disk or another process does.
    """

    def __new__(cls, folder: str | PathLike[str]) -> Self: ...
    def put(self, principal: str, data: bytes, mime: str, source: str, now_ms: int) -> str: ...
    def get(
        self, principal: str, handle: str, now_ms: int
    ) -> tuple[str, bytes, str, str, int, int] | None: ...
    def key(self) -> bytes: ...
    def notices(self) -> list[str]: ...

@disjoint_base
class Cache(Generic[_K, _V]):
    """Values under keys that are `str` or `bytes`; what `omnimind.Cache` is made of.

    With `compressed_bytes` or `folder` values are bytes in levels, else objects by reference. No method runs foreign
    code while the cache is in use; none but those that may wait for a disk lets other threads run.
    """

    def __new__(
        cls,
        *,
        max_bytes: int,
        max_items: int,
        ttl_s: float | None = None,
        stale_s: float | None = None,
        weigher: Callable[[_V], int] | None = None,
        codec: tuple[Callable[[Any], bytes], Callable[[bytes], Any]] | None = None,
        compressed_bytes: int | None = None,
        folder: str | None = None,
        disk_bytes: int = 0,
    ) -> Self: ...
    def __class_getitem__(cls, key: Any) -> GenericAlias: ...
    @overload
    def get(self, key: _K, /) -> _V | None: ...
    @overload
    def get(self, key: _K, default: _D, /) -> _V | _D:
        """The value of a key while it is fresh, else the default."""

    def look(self, key: _K) -> tuple[_V, bool] | None:
        """A value that may be stale, and whether it is fresh."""

    def set(
        self,
        key: _K,
        value: _V,
        *,
        ttl_s: float | None = None,
        stale_s: float | None = None,
        weight: int | None = None,
    ) -> bool:
        """Keep a value, in place of the one the key had. False if it is too heavy: then the key has none.

        `ttl_s` and `stale_s` are the cache's own unless given; infinity is for ever. `weight` is for values by
        reference.
        """

    def delete(self, key: _K) -> bool:
        """Take a key out of all levels; whether it was there."""

    def clear(self) -> None:
        """Take everything out of all levels."""

    def flush(self) -> None:
        """Wait until what was set is in the files of the disk level, if there is one."""

    def close(self) -> None:
        """Let go of everything in memory; write what is queued for the disk and give the folder back.

        With levels below memory every later call of another method raises ValueError.
        """

    def __getitem__(self, key: _K, /) -> _V: ...
    def __setitem__(self, key: _K, value: _V, /) -> None: ...
    def __delitem__(self, key: _K, /) -> None: ...
    def __contains__(self, key: object, /) -> bool: ...
    def __len__(self) -> int:
        """Entries in memory."""

    @property
    def _generation(self) -> int: ...
    @property
    def _no_disk(self) -> str | None: ...
    def _counts(self) -> dict[str, dict[str, Any]]: ...

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

        Blocks without holding the interpreter. Later calls of any method but this and those of spans raise
        RuntimeError.
        """

    def spans(self, timeout_ms: int) -> list[Span] | None:
        """The spans that have ended since the last call, oldest first; None when there will be no more.

        Waits without the interpreter until there are as many as the start message calls a batch, or `timeout_ms`
        have passed. Always None if the start message asks for no traces.
        """

    def spans_exported(self, exported: int, failed: int) -> None:
        """Say what became of spans, for `/metrics`."""

@final
class Span:
    """A span of a trace: one request of a client, one call to a server, or the wait between. Times count from 1970."""

    @property
    def trace_id(self) -> int: ...
    @property
    def span_id(self) -> int: ...
    @property
    def parent_id(self) -> int | None: ...
    @property
    def parent_is_remote(self) -> bool: ...
    @property
    def flags(self) -> int: ...
    @property
    def state(self) -> str | None:
        """`tracestate`, as it was sent."""

    @property
    def kind(self) -> str:
        """`INTERNAL`, `SERVER` or `CLIENT`."""

    @property
    def name(self) -> str: ...
    @property
    def start_ns(self) -> int: ...
    @property
    def end_ns(self) -> int: ...
    @property
    def attributes(self) -> dict[str, str]: ...
    @property
    def failed(self) -> bool: ...

@final
class LoadRun:
    """A run of the load generator on threads of its own, which send until the plan's end; it holds no interpreter.

    `plan` is JSON (`omnimind.stress.plan` writes it). ValueError for one that makes no sense. A run that is forgotten
    ends by itself.
    """

    def __new__(cls, plan: bytes) -> Self: ...
    def wait(self, timeout_ms: int) -> bool:
        """Whether the run is over; waits for that without the interpreter, and not longer."""

    def progress(self) -> str:
        """How far it is, as of a fifth of a second ago: JSON (`Progress` in `rust/load/src/watch.rs`)."""

    def stop(self) -> None:
        """Send no more; `wait` then waits for the answers that are still to come."""

    def report(self) -> str:
        """What it found: JSON (`Report` in `rust/load/src/report.rs`).

        RuntimeError while it goes on, OSError if the target could not be opened.
        """

@final
class Question:
    """A text, and what is proposed for it."""

    @property
    def served(self) -> bytes | None:
        """The key of the answer to be served, if one may be."""

@final
class Semantic:
    """What was asked before in other words, and what the answers have shown of words."""

    def __new__(cls, weights: PathLike[str], tokenizer: PathLike[str]) -> Semantic:
        """Read an encoder. Raises OSError or ValueError."""

    def ask(self, scope: bytes, text: str, dice: int) -> Question | None:
        """What to do with a text that has no answer of its own; None if it is no question.

        `scope` is a digest of all but the text that an answer depends on, 32 bytes; `dice` any number below 2**64.
        """

    def gone(self, question: Question) -> None:
        """There is no answer any more under the key that was to be served."""

    def learn(self, question: Question, answer: bytes, key: bytes | None, ttl_s: float | None) -> None:
        """What the loader answered: a digest of 16 bytes, and the key of 32 if it is kept."""

    def counts(self) -> dict[str, int]:
        """What it did and holds, by name."""

@final
class Prediction:
    """A call that is expected next."""

    @property
    def name(self) -> str:
        """What is called."""

    @property
    def arguments(self) -> bytes:
        """A JSON object."""

    @property
    def probability(self) -> float: ...
    @property
    def reason(self) -> str:
        """`next page`, `listed` or `sequence`."""

@final
class Predictor:
    """Learns from calls which one comes next with what arguments, and holds what asking ahead may cost.

    A session is any number: calls of one follow each other.
    """

    def __new__(cls) -> Predictor: ...
    def arrived(self, session: int, name: str, arguments: bytes) -> bool:
        """A call comes in, its arguments a JSON object; true if it was asked ahead."""

    def observe(
        self,
        session: int,
        name: str,
        arguments: bytes,
        result: bytes | None,
        *,
        took_ms: float,
        cached: bool,
        ok: bool = True,
    ) -> list[Prediction]:
        """A call was answered: what is worth asking ahead now, the likeliest first."""

    def begin(self, session: int, prediction: Prediction) -> Ticket | None:
        """Ask to issue a prediction; None: it would cost too much now."""

    def finished(self, ticket: Ticket, took_ms: float) -> float | None:
        """An issued call was answered: for how many seconds its answer may be kept; None: not at all."""

    def cancelled(self, ticket: Ticket, spent_ms: float) -> None:
        """An issued call failed, or was not made."""

    def counts(self) -> dict[str, int]:
        """What became of the predictions: observed, issued, used, wasted, cancelled, refused."""

@final
class PermitId:
    """The name of a permit of a `RateLimiter`, to give it back by."""

@disjoint_base
class RateLimiter:
    """The deciding part of `omnimind.RateLimiter`, which says what each setting means.

    A call passes the bucket of its key; that of the key at a server, and that of the tool, if it names them. Instants
    are nanoseconds since an origin of the caller's choice (`now_ns`), else since the limiter was made; on one limiter
    use either, never both.
    """

    def __new__(
        cls,
        *,
        rates: list[tuple[float, float] | None],
        policy: str,
        overload: object,
        health: object,
        concurrency: str,
        max_concurrent: int | None,
        max_waiting: int,
        keys: int,
    ) -> Self:
        """Raises ValueError for settings that do not fit."""

    def try_acquire(
        self,
        key: str = "",
        server: str | None = None,
        tool: str | None = None,
        *,
        cost: float = 1.0,
        now_ns: int | None = None,
    ) -> bool:
        """Take `cost` at each level now, or nothing; never waits, and stands in no line.

        Raises ValueError if the cost is negative, not finite, or above a burst (it could never be admitted).
        """

    def check(
        self,
        key: str = "",
        server: str | None = None,
        tool: str | None = None,
        *,
        cost: float = 1.0,
        now_ns: int | None = None,
    ) -> Literal[True] | Refusal:
        """As `try_acquire`, which it takes as well; a refusal says how long to wait, and at which level."""

    @property
    def rate_per_s(self) -> float | None:
        """What comes back to a key each second, as the policy has it; None without a rate."""

    def _arrive(
        self, key: str, server: str | None, tool: str | None, cost: float, priority: str, wait_s: float
    ) -> tuple[int | None, _Told | None, list[tuple[int, _Told]]]: ...
    def _left(self, number: int) -> bool: ...
    def _ended(self, permit: PermitId, outcome: str) -> list[tuple[int, _Told]]: ...
    def _tick(self) -> list[tuple[int, _Told]]: ...
    def _next_wake_s(self) -> float | None: ...
    def _live(
        self,
    ) -> tuple[list[int], tuple[int, int, int, list[int], float | None, float] | None]: ...

@final
class Refusal:
    """A refusal of a `TokenBucket` or a `RateLimiter`: false, and exactly how long to wait.

    Equal to another that says the same.
    """

    @property
    def retry_after_ns(self) -> int:
        """Nanoseconds after which the same call is admitted, unless others come first. At least 1."""

    @property
    def retry_after_s(self) -> float:
        """The same wait in seconds."""

    @property
    def scope(self) -> str | None:
        """The level of a limiter that takes longest: `tenant`, `tenant_server` or `server_tool`."""

    def __bool__(self) -> Literal[False]: ...
    def __eq__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...

@final
class Ticket:
    """A prediction that was issued."""

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

@final
class ConnectionPool:
    """The sending part of `omnimind.ConnectionPool`, which says what each setting means.

    No method waits. The first request starts threads, which are the process's own and never touch the interpreter.
    """

    def __new__(
        cls,
        *,
        max_connections: int,
        compression: list[str],
        http2: str,
        verify: str | PathLike[str] | None,
        max_wait_s: float,
        max_response_bytes: int,
        max_ratio: float,
    ) -> ConnectionPool:
        """Raises ValueError for settings that do not fit, OSError for certificates that cannot be read."""

    def send(
        self,
        inbox: Inbox,
        method: str,
        url: str,
        headers: list[tuple[str, str]],
        content: bytes,
        timeout_s: float,
        whole: bool,
    ) -> int | Fault:
        """Start a request; what becomes of it will be in the inbox under this number.

        With `whole` that is status, HTTP version, headers and content, else with a `Body` in its place. Raises
        ValueError for what cannot be sent.
        """

    def stats(self) -> list[tuple[str, dict[str, Any]]]:
        """Origins and how they stand."""

    def close(self) -> None:
        """Send nothing more, and let connections go."""

@final
class Inbox:
    """Where a loop finds what became of its requests."""

    def __new__(cls) -> Inbox:
        """Raises OSError if the system has no descriptor to give."""

    def fileno(self) -> int:
        """A descriptor that is readable while there is something; it stays the inbox's."""

    def take(self) -> list[tuple[int, tuple[int, str, list[tuple[str, str]], bytes | Body] | bytes | Fault]]:
        """All that has come, by number."""

    def forget(self, number: int) -> None:
        """Give one up, with what it holds."""

@final
class Body:
    """What is to be read of an answer."""

    def read(self, inbox: Inbox) -> int | Fault:
        """Start reading what comes next; it will be in the inbox under this number, b"" after the end."""

    def close(self) -> None:
        """Let it go; what has not come is cancelled."""

@final
class Fault:
    """Why there is no answer, or not the whole of one."""

    @property
    def kind(self) -> str:
        """`crowded`, `unreachable`, `lost`, `late`, `unreadable`, `too_large`, `closed` or `system`."""

    @property
    def why(self) -> str:
        """In words."""

    @property
    def retry_after_s(self) -> float | None: ...
    @property
    def received_bytes(self) -> int: ...
    @property
    def unpacked_bytes(self) -> int: ...
    @property
    def max_ratio(self) -> float | None:
        """The ratio that was passed; None where it was the number of bytes."""
