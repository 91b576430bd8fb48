"""Which packages code can import here: the distributions in the folders of libraries, read from their metadata.

Read by hand and not with importlib.metadata, because one of the folders is filled by installs: there no link is
followed. Only regular files are opened anywhere, and only their first lines are read.
"""

from __future__ import annotations

import os
import re
import stat
import sys
import sysconfig
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from omnimind.servers import depends

METADATA_BYTES: Final = 64 * 1024
SUMMARY_CHARACTERS: Final = 300
FOLDER_ENTRIES: Final = 20_000

_METADATA: Final = {".dist-info": "METADATA", ".egg-info": "PKG-INFO"}


@dataclass(frozen=True, slots=True)
class Package:
    """One distribution. `installed` says that install_package brought it."""

    name: str
    version: str
    summary: str
    installed: bool

    def data(self) -> dict[str, Any]:
        """As it goes over the wire."""
        return {
            "name": self.name,
            "version": self.version,
            "summary": self.summary,
            "installed": self.installed,
        }


def canonical(name: str) -> str:
    """A name as indexes compare it: lower case, with one dash where dots, dashes and underscores are."""
    return re.sub(r"[-_.]+", "-", name).lower()


def library_folders() -> list[str]:
    """Where this interpreter's own distributions are."""
    paths = sysconfig.get_paths()
    named = [paths["purelib"], paths["platlib"]]
    searched = [path for path in sys.path if path.endswith(("site-packages", "dist-packages"))]
    return list(dict.fromkeys(path for path in [*searched, *named] if os.path.isdir(path)))


def found(folders: Sequence[str], installed: str | None, query: str = "") -> list[Package]:
    """The packages in these folders and in the one of installs, which comes first, sorted by name."""
    packages: dict[str, Package] = {}
    for folder in [*([installed] if installed else []), *folders]:
        for package in _in_folder(folder, installed=folder == installed):
            packages.setdefault(canonical(package.name), package)
    wanted = query.casefold()
    chosen = [
        package
        for package in packages.values()
        if wanted in package.name.casefold() or wanted in package.summary.casefold()
    ]
    return sorted(chosen, key=lambda package: canonical(package.name))


def _in_folder(folder: str, *, installed: bool) -> Iterator[Package]:
    depends.file(os.path.realpath(folder))  # what is installed or removed is a new name in it
    try:
        names = sorted(os.listdir(folder))[:FOLDER_ENTRIES]
    except OSError:
        return
    for name in names:
        file = _METADATA.get(os.path.splitext(name)[1])
        if file is None or (installed and os.path.islink(os.path.join(folder, name))):
            continue
        headers = _headers(Path(folder, name, file), follow_links=not installed)
        if headers.get("name") and headers.get("version"):
            summary = headers.get("summary", "")[:SUMMARY_CHARACTERS]
            yield Package(headers["name"], headers["version"], summary, installed)


def _headers(path: Path, *, follow_links: bool) -> dict[str, str]:
    """The one-line headers of a metadata file; none if it is not a regular file that can be read."""
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | (0 if follow_links else os.O_NOFOLLOW)
    try:
        descriptor = os.open(path, flags)
    except OSError:
        return {}
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return {}
        text = os.read(descriptor, METADATA_BYTES).decode("utf-8", "replace")
    finally:
        os.close(descriptor)
    headers: dict[str, str] = {}
    for line in text.splitlines():
        if not line:
            break
        key, colon, value = line.partition(":")
        if colon and key.isascii() and key[:1].isalpha():
            headers.setdefault(key.lower(), value.strip())
    return headers
