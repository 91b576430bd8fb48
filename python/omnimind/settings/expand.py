"""`${...}` in the strings of an entry.

`${env:X}` and `${env:X:-default}` read the environment (the default also stands in for an empty value),
`${file:path}` reads a file without its last newline, and `$${` is a plain `${`. The forms of other
clients mean the same here: `${X}` and `${X:-default}` (Claude Code), `${userHome}`, `${/}` and
`${pathSeparator}` (Cursor, VS Code). What needs an editor (`${workspaceFolder}`, `${input:...}`) cannot
be known here and is an error with a way out. One pass: what a reference yields is never expanded again,
so a secret that contains `${` stays as it is.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_REFERENCE = re.compile(r"\$\$\{|\$\{([^{}]*)\}|\$\{")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_PRIVATE = re.compile(r"(?:env|file):|[A-Za-z_][A-Za-z0-9_]*(?::-|$)")
"""References whose value the file keeps out of itself: whoever wrote it may want it kept out of logs too."""
_FILE_BYTES = 64 * 1024
_EDITOR_ONLY: Final = ("workspaceFolder", "workspaceRoot", "workspaceFolderBasename", "relativeFile", "file")


class Unexpandable(Exception):
    """A reference that has no value: what is wrong, and a way out."""

    def __init__(self, what: str, help: str) -> None:
        super().__init__(what)
        self.what = what
        self.help = help


@dataclass(frozen=True, slots=True)
class Expander:
    """Expands references against an environment and the folder of the file they stand in."""

    environ: Mapping[str, str]
    folder: Path

    def expand(self, text: str) -> str:
        """The text with every reference replaced; raises `Unexpandable`."""
        return _REFERENCE.sub(self._replace, text)

    def secrets(self, text: str) -> list[str]:
        """What the references of a text to the environment and to files yield; raises `Unexpandable`."""
        found = (match for match in _REFERENCE.finditer(text) if match.group(1) is not None)
        return [self._replace(match) for match in found if _PRIVATE.match(match.group(1))]

    def path(self, name: str) -> Path:
        """A path of the settings file: `~` is the home folder, a relative one starts beside the file."""
        try:
            return self.folder / Path(name).expanduser()
        except RuntimeError:
            raise Unexpandable(
                f"{name} names a home folder that is not known", "write the absolute path"
            ) from None

    def _replace(self, match: re.Match[str]) -> str:
        if match.group() == "$${":
            return "${"
        reference = match.group(1)
        if reference is None:
            raise Unexpandable('"${" is not closed by "}"', "close it, or write $${ for a plain ${")
        kind, colon, rest = reference.partition(":")
        if kind == "env" and colon:
            return self._variable(rest, reference)
        if kind == "file" and colon:
            return self._file(rest)
        if reference == "userHome":
            return os.path.expanduser("~")
        if reference in ("/", "pathSeparator"):
            return os.sep
        if kind == "input":
            raise Unexpandable(
                f"${{{reference}}} is asked for by an editor and is not known here",
                f"export a variable and write ${{env:{_upper(rest)}}}, or keep the secret in a file: "
                "${file:path}",
            )
        if kind in _EDITOR_ONLY or kind.startswith("workspaceFolder"):
            raise Unexpandable(
                f"${{{reference}}} is known to an editor only",
                "write the absolute path, or export a variable and write ${env:NAME}",
            )
        return self._variable(reference, reference)

    def _variable(self, text: str, reference: str) -> str:
        name, dash, default = text.partition(":-")
        if not _VARIABLE.fullmatch(name):
            raise Unexpandable(
                f"${{{reference}}} is not a reference",
                "write ${env:NAME}, ${env:NAME:-default} or ${file:path}; $${ is a plain ${",
            )
        value = self.environ.get(name)
        if dash:
            return value or default
        if value is None:
            raise Unexpandable(
                f"the environment variable {name} is not set",
                f"export {name}=..., or give a default: ${{env:{name}:-default}}",
            )
        return value

    def _file(self, name: str) -> str:
        path = self.path(name)
        try:
            with path.open("rb") as file:
                raw = file.read(_FILE_BYTES + 1)
            text = raw.decode()
        except OSError as error:
            raise Unexpandable(
                f"the file {path} cannot be read: {error.strerror}", "check the path in ${file:...}"
            ) from None
        except UnicodeDecodeError:
            raise Unexpandable(f"the file {path} is not UTF-8", "only text can be inserted") from None
        if len(raw) > _FILE_BYTES or "\0" in text:
            raise Unexpandable(
                f"the file {path} is larger than {_FILE_BYTES} bytes or is not text",
                "${file:...} is for tokens and other short texts",
            )
        return text.removesuffix("\n").removesuffix("\r")


def _upper(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9]+", "_", name).upper() or "NAME"


def read_env_file(text: str) -> dict[str, str]:
    """The variables of a `.env` file: `NAME=value` lines, `export` and quotes allowed, `#` comments."""
    found: dict[str, str] = {}
    for number, raw in enumerate(text.splitlines(), 1):
        line = raw.strip().removeprefix("export ").strip()
        if not line or line.startswith("#"):
            continue
        name, equals, value = line.partition("=")
        name, value = name.strip(), value.strip()
        if not equals or not _VARIABLE.fullmatch(name):
            raise Unexpandable(f"line {number} of the env file is not NAME=value", "correct the line")
        if len(value) >= 2 and value[0] == value[-1] and value[0] in "\"'":
            value = value[1:-1]
        found[name] = value
    return found
