"""From wanted files to files on disk, and back: what would change, then each change in one step.

Rules. Only files that carry our first line are ours. One that somebody changed since is kept and named, unless
that is forced; one without our line, or a link (a masked unit), is never touched. Nothing is half written.
"""

from __future__ import annotations

import contextlib
import difflib
import os
import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from omnimind.systemd import units

Kind = Literal["new", "changed", "removed", "kept"]


@dataclass(frozen=True, slots=True)
class Change:
    """What happens to one file; `kept` means that it should change and does not, because it is somebody's."""

    kind: Kind
    path: Path
    before: str
    after: str
    why: str = ""

    def diff(self) -> str:
        """The change as a unified diff."""
        name = str(self.path)
        lines = difflib.unified_diff(
            self.before.splitlines(),
            self.after.splitlines(),
            "/dev/null" if self.kind == "new" else name,
            "/dev/null" if self.kind == "removed" else name,
            lineterm="",
        )
        return "\n".join(lines)


def folder(environ: Mapping[str, str] = os.environ) -> Path:
    """Where the user's manager looks for the user's units."""
    base = environ.get("XDG_CONFIG_HOME", "")
    config = Path(base) if os.path.isabs(base) else Path("~/.config").expanduser()
    return config / "systemd" / "user"


def installed(where: Path) -> list[str]:
    """The servers that have units of ours."""
    names = (units.server_of(name) for name in _ours(where))
    return sorted(name for name in names if name)


def plan(where: Path, wanted: Mapping[str, str], force: bool = False) -> list[Change]:
    """What to do so that our files in this folder are exactly the wanted ones."""
    changes = [_towards(where / name, text, force) for name, text in sorted(wanted.items())]
    changes += [_towards(where / name, None, force) for name in sorted(set(_ours(where)) - set(wanted))]
    return [change for change in changes if change is not None]


def without(where: Path, names: Sequence[str]) -> dict[str, str]:
    """Our files but those of these servers, and lists of servers that no longer name them."""
    gone = tuple(f"{units.instance(name, kind)}.d/" for name in names for kind in ("service", "socket"))
    left = [name for name in installed(where) if name not in names]
    texts = {name: (where / name).read_text(encoding="utf-8") for name in _ours(where)}
    kept = {name: text for name, text in texts.items() if not name.startswith(gone)}
    lists = units.lists(left)
    return {name: text for name, text in kept.items() if name not in units.LISTS} | lists


def apply(changes: Sequence[Change]) -> None:
    """Do what was planned; folders of drop-ins and links that enabled a removed unit go with their last file."""
    for change in changes:
        if change.kind == "removed":
            change.path.unlink(missing_ok=True)
        elif change.kind != "kept":
            _write(change.path, change.after)
    for top in {change.path.parent for change in changes if change.kind == "removed"}:
        if top.name.endswith(".d"):
            with contextlib.suppress(OSError):
                top.rmdir()


def unlink_enabled(where: Path, removed: Sequence[str]) -> list[Path]:
    """Remove the links by which `systemctl enable` wanted these units; which they were."""
    links = [at for at in where.glob("*.wants/*") if at.name in removed and at.is_symlink()]
    for link in links:
        link.unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            link.parent.rmdir()
    return links


def _ours(where: Path) -> Iterator[str]:
    for pattern in ("omnimind-*", "omnimind-*.d/*.conf"):
        for path in where.glob(pattern):
            text = _read(path)
            if text is not None and units.author(text) != "foreign":
                yield str(path.relative_to(where))


def _read(path: Path) -> str | None:
    if path.is_symlink() or not path.is_file():
        return None
    return path.read_text(encoding="utf-8", errors="replace")


def _towards(path: Path, wanted: str | None, force: bool) -> Change | None:
    before = _read(path)
    after = wanted or ""
    if before == wanted:
        return None
    if before is None:
        if os.path.lexists(path):
            return Change("kept", path, "", after, "it is no plain file")
        return Change("new", path, "", after)
    whose = units.author(before)
    if whose == "foreign":
        return Change("kept", path, before, after, "it is not ours")
    if whose == "changed" and not force:
        return Change("kept", path, before, after, "it was changed by hand; --force discards that")
    return Change("changed" if wanted is not None else "removed", path, before, after)


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        fresh.write_text(text, encoding="utf-8")
        os.replace(fresh, path)
    finally:
        fresh.unlink(missing_ok=True)
