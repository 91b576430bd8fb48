"""Installing packages, when the operator allows it: what is allowed, pip's arguments, and where packages live.

Rules. The index is the operator's, never the caller's. Only wheels are taken: they are unpacked, and nothing in
them runs while they are. Each install makes a new folder with all that the principal has asked for so far,
resolved together, and only when that is complete does it become the current one; a failed install changes nothing.
The folder before stays until the next install, for what still runs with it.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from omnimind.servers import depends
from omnimind.servers.problem import Problem
from omnimind.servers.python.findings import shortened
from omnimind.servers.python.packages import canonical

ALLOW: Final = "--allow-install"
INDEX: Final = "--index="
FIND_LINKS: Final = "--find-links="
REQUIREMENTS: Final = 20
KEPT_REQUIREMENTS: Final = 100
FOLDER_BYTES: Final = 2 * 1024 * 1024 * 1024
SECONDS: Final = 300
RUN: Final = "omnimind.servers.python.inside.pip_run:run"

_SYSTEM_FACTS: Final = ("/etc/os-release", "/usr/lib/os-release", "/etc/lsb-release", "/etc/debian_version")
"""pip names the system to the index, and ends if it may not look."""

_VERSION = r"\s*(?:===?|~=|!=|<=?|>=?)\s*[A-Za-z0-9.*+!_-]{1,64}\s*"
_REQUIREMENT = re.compile(
    rf"(?P<name>[A-Za-z0-9](?:[A-Za-z0-9._-]{{0,98}}[A-Za-z0-9])?)"
    rf"(?:\[[A-Za-z0-9._, -]{{1,200}}\])?(?:{_VERSION}(?:,{_VERSION}){{0,9}})?"
)
_ARCHIVE = (".whl", ".zip", ".gz", ".bz2", ".xz", ".tar", ".tgz")


@dataclass(frozen=True, slots=True)
class Settings:
    """What the operator allows. With `links`, a folder of wheels, there is no index and no network."""

    allowed: bool = False
    index: str | None = None
    links: str | None = None

    @property
    def network(self) -> bool:
        """Whether an install has to reach an index."""
        return self.links is None

    @property
    def reads(self) -> tuple[str, ...]:
        """What pip has to read beside its libraries: the jail must be told at its start that it may be named."""
        if not self.allowed:
            return ()
        return (*_SYSTEM_FACTS, *([self.links] if self.links else []))

    def refuse(self) -> None:
        """Raise Problem unless installing is allowed and it is known where from."""
        if not self.allowed:
            raise Problem(
                "installing packages is not enabled; list_packages shows what can be imported, and the operator can "
                f"enable it with {ALLOW} and {INDEX}URL (or {FIND_LINKS}FOLDER) in the args of this server"
            )
        if self.index is None and self.links is None:
            raise Problem(
                f"{ALLOW} is set, but not where from; the operator has to add {INDEX}URL or {FIND_LINKS}FOLDER "
                "to the args of this server"
            )


def settings(args: Sequence[str]) -> tuple[Settings, list[str]]:
    """The settings in the server's arguments, and the arguments that are not about installs."""
    allowed, index, links = False, None, None
    rest: list[str] = []
    for argument in args:
        if argument == ALLOW:
            allowed = True
        elif argument.startswith(INDEX):
            index = argument.removeprefix(INDEX)
            if not index.startswith(("https://", "http://")):
                raise ValueError(f"{INDEX} takes the address of a package index, such as https://…/simple")
        elif argument.startswith(FIND_LINKS):
            links = os.path.abspath(os.path.expanduser(argument.removeprefix(FIND_LINKS)))
        else:
            rest.append(argument)
    if index is not None and links is not None:
        raise ValueError(f"{INDEX} and {FIND_LINKS} exclude each other; name one")
    return Settings(allowed, index, links), rest


def checked(requirements: Sequence[str]) -> list[str]:
    """The requirements, each a name and perhaps extras and versions. No addresses, paths or options."""
    if not 0 < len(requirements) <= REQUIREMENTS:
        raise Problem(f"{len(requirements):,} requirements were given; give 1 to {REQUIREMENTS}")
    for requirement in requirements:
        if not _REQUIREMENT.fullmatch(requirement.strip()) or requirement.strip().lower().endswith(_ARCHIVE):
            raise Problem(
                f"{requirement[:100]!r} is not a requirement this server takes; write a name with or without versions, "
                "such as 'numpy' or 'httpx>=0.27,<1'. Addresses, paths and options are refused"
            )
    return [requirement.strip() for requirement in requirements]


def arguments(settings: Settings, requirements: Sequence[str], target: str) -> list[str]:
    """The arguments after `python -m pip`."""
    where = (
        ["--no-index", f"--find-links={settings.links}"]
        if settings.links
        else [f"--index-url={settings.index}"]
    )
    return [
        *(
            "install",
            "--isolated",
            "--no-input",
            "--disable-pip-version-check",
            "--no-cache-dir",
            "--no-color",
        ),
        *("--only-binary=:all:", "--no-compile", "--progress-bar=off", "--no-warn-script-location"),
        *where,
        f"--target={target}",
        "--",
        *requirements,
    ]


@dataclass(frozen=True, slots=True)
class Environment:
    """The packages one principal has installed: numbered folders, and a file that says which one is current."""

    folder: Path

    def current(self) -> Path | None:
        """The folder to import from; None if nothing was ever installed."""
        number = self._state().get("current")
        return self.folder / str(number) if isinstance(number, int) else None

    def requirements(self, more: Sequence[str]) -> list[str]:
        """All that was asked for so far and more; of two for the same name the later one."""
        kept = self._state().get("requirements")
        asked = [*(kept if isinstance(kept, list) else []), *more]
        by_name = {canonical(_name(requirement)): requirement for requirement in asked}
        if len(by_name) > KEPT_REQUIREMENTS:
            raise Problem(
                f"more than {KEPT_REQUIREMENTS} packages were asked for, the limit of one environment"
            )
        return list(by_name.values())

    def adopt(self, made: Path, requirements: Sequence[str]) -> Path:
        """Make this folder the current one, and forget all but the one before. Raises Problem if it is too large."""
        taken = size(made)
        if taken > FOLDER_BYTES:
            raise Problem(f"the packages have {taken:,} bytes together; the limit is {FOLDER_BYTES:,}")
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        numbers = [int(entry.name) for entry in self.folder.iterdir() if entry.name.isdigit()]
        place = made.rename(self.folder / str(max(numbers, default=0) + 1))
        before = self.current()
        state = self.folder / "state.json"
        new = state.with_suffix(".new")
        new.write_text(json.dumps({"current": int(place.name), "requirements": list(requirements)}))
        new.replace(state)
        for entry in list(self.folder.iterdir()):
            if entry.name.isdigit() and entry not in (place, before):
                shutil.rmtree(entry, ignore_errors=True)
        return place

    def _state(self) -> dict[str, object]:
        file = self.folder / "state.json"
        depends.file(file)
        with contextlib.suppress(OSError, ValueError):
            state = json.loads(file.read_text())
            if isinstance(state, dict):
                return state
        return {}


def _name(requirement: str) -> str:
    match = _REQUIREMENT.fullmatch(requirement)
    return match["name"] if match else requirement


def size(folder: Path) -> int:
    """The bytes of all files beneath a folder; files that go away meanwhile count nothing."""
    total = 0
    for inner, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(OSError):
                total += os.lstat(os.path.join(inner, name)).st_size
    return total


def failure(settings: Settings, stderr: str) -> Problem:
    """Why pip did not install, in its words, without the operator's addresses."""
    lines = [line for line in stderr.splitlines() if line.strip()]
    text = "\n".join(
        [line for line in lines if line.startswith("ERROR:") and "Exception" not in line] or lines[-1:]
    )
    for secret in filter(None, (settings.index, settings.links)):
        text = text.replace(secret, "the configured index")
    hint = ""
    if "No matching distribution" in text or "Could not find a version" in text:
        hint = "\nOnly wheels of the configured index are taken: check the name, or ask for another version."
    return Problem(f"nothing was installed; pip said: {shortened(text.strip() or 'nothing', 1_500)}{hint}")
