"""How libgit2 is set for the whole process: no configuration of the machine or its user, no home folder.

libgit2 starts no program on its own: it knows no hooks, no external diff, no text conversion, no fsmonitor, no
pager, no signing, and of the filters only line endings and `ident`. What is left to take away is where it looks:
with empty search paths a call depends on the repository alone. Its check of owners asks a configuration that is
then empty, so `layout` does it with the rule of this server, and the one of libgit2 is off.
"""

from __future__ import annotations

import pygit2
from pygit2.enums import ConfigLevel

_NO_HOME = "/dev/null"  # a `~/` in a configuration leads nowhere


def keep_to_repositories() -> None:
    """Set libgit2 so. Said once a process, before the first repository is opened; again does no harm."""
    for level in (ConfigLevel.PROGRAMDATA, ConfigLevel.SYSTEM, ConfigLevel.XDG, ConfigLevel.GLOBAL):
        pygit2.settings.search_path[level] = ""
    pygit2.settings.homedir = _NO_HOME
    pygit2.settings.owner_validation = False
