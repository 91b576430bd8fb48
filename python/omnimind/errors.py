"""What can go wrong, as values with a stable code, for people.

Rule: every error a person may meet has a code (`OM0107`) that never changes its meaning, says what
happened, where and why, and ends with a `help:` line that names a command or an edit. `CODES` is the
whole list; docs/errors.md explains each and a test keeps the two equal. Errors on the wire (JSON-RPC)
are the gateway's and are not here.
"""

from __future__ import annotations

from enum import IntEnum


class Exit(IntEnum):
    """Exit codes of `omnimind`; part of the interface, listed in docs/errors.md."""

    OK = 0
    FAILURE = 1
    USAGE = 2
    NO_FLEET = 3
    SETTINGS = 4
    TOOL_ERROR = 5
    CONFIG = 78
    INTERRUPTED = 130


CODES: dict[str, str] = {
    "OM0100": "the command line is not understood",
    "OM0101": "a configuration file cannot be read",
    "OM0102": "a configuration file is not valid JSON",
    "OM0103": "a key stands twice in one object",
    "OM0104": "a key is not known",
    "OM0105": "a value has the wrong type or is out of range",
    "OM0106": "a ${...} reference cannot be expanded",
    "OM0107": "a port is held by another process",
    "OM0108": "there is no built-in server of that name",
    "OM0109": "an entry does not say, or says twice, how its server is reached",
    "OM0110": "two entries claim the same name or port",
    "OM0201": "no fleet runs in this state folder",
    "OM0202": "a fleet already runs in this state folder",
    "OM0203": "no server of this name is configured",
    "OM0204": "the fleet refused a command, or did not answer it",
    "OM0205": "the state folder cannot be used",
    "OM0206": "the fleet could not start",
    "OM0301": "no principal of this name exists, or one exists already",
    "OM0302": "a token or key file is damaged or open to other users",
    "OM0401": "the gateway cannot be reached or refused the request",
    "OM0402": "the arguments of a call are not a JSON object",
    "OM0403": "no tool of this name is offered",
    "OM0404": "a tool asked a question that a command line cannot answer",
    "OM0405": "a server answered a request with an error",
    "OM0601": "systemd is not there, or does not answer this user",
    "OM0602": "the kernel cannot be watched from here",
    "OM0603": "traces are asked for and cannot be sent",
    "OM0701": "a call was refused: too many at once, or it could not be done in time",
    "OM0702": "a request found no connection in time, and was not sent",
    "OM0703": "no connection to a server could be opened, and nothing was sent",
    "OM0704": "a request took longer than it may",
    "OM0705": "an answer was lost, broke off, or cannot be read",
    "OM0706": "an answer is larger than it may be",
    "OM0801": "there is no original of this handle",
    "OM0802": "the encoder of sentences is not there, or cannot be used",
    "OM0901": "a mix of calls for a load test cannot be used",
    "OM0902": "a load test could not be run",
    "OM0903": "a picture cannot be drawn as PNG here",
    "OM0500": "something unexpected happened inside omnimind",
}


class OmniMindError(Exception):
    """An error with a code. `str()` is its one-line text; `render()` is what a terminal shows."""

    exit_code: Exit = Exit.FAILURE

    def __init__(
        self,
        code: str,
        what: str,
        *,
        where: str | None = None,
        why: str | None = None,
        help: str | None = None,
    ) -> None:
        if code not in CODES:
            raise ValueError(f"{code} is not in the table of error codes")
        super().__init__(what)
        self.code = code
        self.what = what
        self.where = where
        self.why = why
        self.help = help

    def __str__(self) -> str:
        place = f" ({self.where})" if self.where else ""
        return f"error[{self.code}]: {self.what}{place}"

    def render(self, color: bool = False) -> str:
        """The error as lines in rustc's order: what, where, why, help."""
        red, blue, bold, plain = ("\x1b[1;31m", "\x1b[1;34m", "\x1b[1m", "\x1b[0m") if color else ("",) * 4
        lines = [f"{red}error[{self.code}]{plain}{bold}: {self.what}{plain}"]
        if self.where:
            lines.append(f"  {blue}-->{plain} {self.where}")
        if self.why:
            lines.extend(f"  {blue}|{plain} {line}" for line in self.why.splitlines())
        if self.help:
            lines.append(f"{bold}help{plain}: {self.help}")
        return "\n".join(lines)


class UsageError(OmniMindError):
    """A command line that cannot be understood."""

    exit_code = Exit.USAGE


class SettingsError(OmniMindError):
    """A configuration that cannot be used; a running fleet keeps its old one."""

    exit_code = Exit.SETTINGS


class StateError(OmniMindError):
    """A state folder, or a file in it, that cannot be used or trusted."""


class NoFleetError(OmniMindError):
    """A command needs a running fleet and there is none."""

    exit_code = Exit.NO_FLEET


class FleetError(OmniMindError):
    """The fleet could not start, or refused a command."""


class GatewayError(OmniMindError):
    """The gateway could not be reached, or refused a request."""


class RefusedError(OmniMindError):
    """A call that a limiter did not let pass in time.

    `reason` is `deadline` (known at once), `expired`, `evicted` or `queue_full`; `scope` is where: `tenant`,
    `tenant_server`, `server_tool` or `concurrency`; `retry_after_s` is when it may be worth asking again.
    """

    def __init__(self, reason: str, scope: str, retry_after_s: float) -> None:
        super().__init__(
            "OM0701",
            f"the call was refused ({reason})",
            where=scope,
            help=f"ask again in {retry_after_s:.3g} s, or wait longer: a later deadline, a higher max_wait_s",
        )
        self.reason = reason
        self.scope = scope
        self.retry_after_s = retry_after_s


class RequestError(OmniMindError):
    """A request of a `ConnectionPool` that has no answer.

    `was_sent` is False where the server has certainly not seen it: then it can be made again.
    """

    was_sent: bool = True

    def __str__(self) -> str:
        """One line that says why, too: a program's log has no other."""
        return f"{super().__str__()}: {self.why}" if self.why else super().__str__()


class PoolTimeoutError(RequestError, TimeoutError):
    """No connection became free within the pool's `max_wait_s`."""

    was_sent = False

    def __init__(self, where: str, why: str, retry_after_s: float) -> None:
        super().__init__(
            "OM0702",
            "the request found no connection in time",
            where=where,
            why=why,
            help=f"try again in {retry_after_s:.3g} s, or make the pool with more max_connections or max_wait_s",
        )
        self.retry_after_s = retry_after_s


class ConnectError(RequestError, ConnectionError):
    """No connection could be opened, or the server failed so often that it is left alone for `retry_after_s`."""

    was_sent = False

    def __init__(self, where: str, why: str, retry_after_s: float | None) -> None:
        later = "see whether the server runs, and the address and the certificate are right"
        if retry_after_s is not None:
            later = f"try again in {retry_after_s:.3g} s"
        super().__init__("OM0703", "there is no connection to the server", where=where, why=why, help=later)
        self.retry_after_s = retry_after_s


class ResponseTimeoutError(RequestError, TimeoutError):
    """The answer took longer than `timeout_s`."""

    def __init__(self, where: str, timeout_s: float) -> None:
        super().__init__(
            "OM0704",
            f"there was no answer within {timeout_s:.3g} s",
            where=where,
            help="pass a longer timeout_s; the server may have done what was asked",
        )
        self.timeout_s = timeout_s


class BrokenResponseError(RequestError, ConnectionError):
    """The request was sent and its answer was lost, broke off, or is packed in a way that cannot be read."""

    def __init__(self, where: str, why: str, *, readable: bool) -> None:
        again = "the server may have done what was asked: make the request again only if that does no harm"
        packed = "ask for it as it is: pass the header Accept-Encoding: identity"
        super().__init__(
            "OM0705", "there is no whole answer", where=where, why=why, help=again if readable else packed
        )


class ResponseTooLargeError(RequestError):
    """More came, or was announced, or came out of what was packed, than the pool lets pass.

    `received_bytes` had come, which are `unpacked_bytes`; `max_ratio` is the ratio that was passed, if it was that.
    """

    def __init__(self, where: str, received_bytes: int, unpacked_bytes: int, max_ratio: float | None) -> None:
        if max_ratio is None:
            why = f"{unpacked_bytes} bytes are more than the pool's max_response_bytes"
            later = "read it with pool.stream(), or make the pool with a larger max_response_bytes"
        else:
            why = f"{received_bytes} bytes unpack to {unpacked_bytes} and more, above {max_ratio:g} times as many"
            later = "if you trust the server, make the pool with a larger max_ratio"
        super().__init__("OM0706", "the answer is too large", where=where, why=why, help=later)
        self.received_bytes = received_bytes
        self.unpacked_bytes = unpacked_bytes
        self.max_ratio = max_ratio


def closest(name: str, known: list[str] | tuple[str, ...]) -> str | None:
    """The known word that `name` was probably meant to be, or None."""
    import difflib

    folded = {word.lower().replace("-", "_"): word for word in known}
    found = difflib.get_close_matches(name.lower().replace("-", "_"), list(folded), n=1, cutoff=0.7)
    return folded[found[0]] if found else None
