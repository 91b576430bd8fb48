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


def closest(name: str, known: list[str] | tuple[str, ...]) -> str | None:
    """The known word that `name` was probably meant to be, or None."""
    import difflib

    folded = {word.lower().replace("-", "_"): word for word in known}
    found = difflib.get_close_matches(name.lower().replace("-", "_"), list(folded), n=1, cutoff=0.7)
    return folded[found[0]] if found else None
