"""The Rust parts of OmniMind: the data plane and the token bucket.

Everything crosses as bytes and numbers. Importing this module starts no thread.
"""

from typing import final

__version__: str

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
        """Pass one control message with the descriptors of its packet. Raises ValueError if unknown."""

    def events_fd(self) -> int:
        """A descriptor that is readable while `events()` has something; it stays the gateway's."""

    def events(self) -> list[str]:
        """All messages for the orchestrator since the last call, each one JSON object."""

    def drain(self, timeout_ms: int) -> None:
        """Stop accepting, let what is in flight finish for at most `timeout_ms`, end all threads.

        Blocks without holding the interpreter. Later calls of any method but this raise RuntimeError.
        """

