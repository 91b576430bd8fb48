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
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from omnimind.cache import Cache
from omnimind.servers import depends

METADATA_BYTES: Final = 64 * 1024
SUMMARY_CHARACTERS: Final = 300
FOLDER_ENTRIES: Final = 20_000

_TOLD: Final = ("name", "version", "summary")
_KEPT_BYTES: Final = 4 * 1024 * 1024
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


Headers = Cache[str, Mapping[str, str]]
"""What metadata files say, by the file as it was when it was read."""


def headers() -> Headers:
    """A place for what was read: an environment has hundreds of such files, and few change."""
    return Cache(max_bytes=_KEPT_BYTES, max_items=FOLDER_ENTRIES, weigher=_weight)


def _weight(said: Mapping[str, str]) -> int:
    return sum(len(key) + len(value) + 128 for key, value in said.items()) + 512


def found(
    folders: Sequence[str], installed: str | None, query: str = "", known: Headers | None = None
) -> list[Package]:
    """The packages in these folders and in the one of installs, which comes first, sorted by name."""
    known = headers() if known is None else known
    packages: dict[str, Package] = {}
    for folder in [*([installed] if installed else []), *folders]:
        for package in _in_folder(folder, known, installed=folder == installed):
            packages.setdefault(canonical(package.name), package)
    wanted = query.casefold()
    chosen = [
        package
        for package in packages.values()
        if wanted in package.name.casefold() or wanted in package.summary.casefold()
    ]
    return sorted(chosen, key=lambda package: canonical(package.name))


def _in_folder(folder: str, known: Headers, *, installed: bool) -> Iterator[Package]:
    depends.file(os.path.realpath(folder))  # what is installed or removed is a new name in it
    try:
        names = sorted(os.listdir(folder))[:FOLDER_ENTRIES]
    except OSError:
        return
    for name in names:
        file = _METADATA.get(os.path.splitext(name)[1])
        if file is None or (installed and os.path.islink(os.path.join(folder, name))):
            continue
        said = _headers(Path(folder, name, file), known, follow_links=not installed)
        if said.get("name") and said.get("version"):
            yield Package(said["name"], said["version"], said.get("summary", ""), installed)


def _headers(path: Path, known: Headers, *, follow_links: bool) -> Mapping[str, str]:
    """The one-line headers of a metadata file that are told; none if it is not a regular file that can be read."""
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | (0 if follow_links else os.O_NOFOLLOW)
    try:
        descriptor = os.open(path, flags)
    except OSError:
        return {}
    try:
        facts = os.fstat(descriptor)
        if not stat.S_ISREG(facts.st_mode):
            return {}
        key = f"{facts.st_ino}:{facts.st_size}:{facts.st_mtime_ns}:{facts.st_ctime_ns}:{path}"
        said = known.get(key)
        if said is None:
            said = _parsed(os.read(descriptor, METADATA_BYTES).decode("utf-8", "replace"))
            known.set(key, said)
        return said
    finally:
        os.close(descriptor)


def _parsed(text: str) -> Mapping[str, str]:
    said: dict[str, str] = {}
    for line in text.splitlines():
        if not line:
            break
        key, colon, value = line.partition(":")
        if colon and key.lower() in _TOLD:
            said.setdefault(key.lower(), value.strip()[:SUMMARY_CHARACTERS])
    return said
