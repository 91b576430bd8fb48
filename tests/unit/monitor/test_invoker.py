"""Files belong to who called sudo, and paths are judged as that user's."""

from __future__ import annotations

import os
import pwd
import tempfile
from pathlib import Path

import pytest

from omnimind.monitor import invoker

NOBODY = pwd.getpwnam("nobody")
UNDER_SUDO = {"SUDO_UID": str(NOBODY.pw_uid), "SUDO_GID": str(NOBODY.pw_gid)}
root_only = pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")


@root_only
def test_who_called_sudo() -> None:
    who = invoker.find(UNDER_SUDO)
    assert who == invoker.Invoker(NOBODY.pw_uid, NOBODY.pw_gid, "nobody", Path(NOBODY.pw_dir))
    assert invoker.find({}) is None
    assert invoker.find({"SUDO_UID": "0", "SUDO_GID": "0"}) is None
    assert invoker.find({"SUDO_UID": "x", "SUDO_GID": "0"}) is None
    assert invoker.find({"SUDO_UID": "4000000000", "SUDO_GID": "0"}) is None


@root_only
def test_a_file_is_the_users_and_root_is_root_again() -> None:
    who = invoker.find(UNDER_SUDO)
    groups = os.getgroups()
    with tempfile.TemporaryDirectory() as name:  # pytest's own are closed to others
        folder = Path(name)
        folder.chmod(0o777)
        invoker.write(folder / "new" / "report.txt", "one", who)
        written = (folder / "new" / "report.txt").stat()
        assert (written.st_uid, written.st_gid) == (NOBODY.pw_uid, NOBODY.pw_gid)
        assert (folder / "new").stat().st_uid == NOBODY.pw_uid
        assert (os.geteuid(), os.getegid(), os.getgroups()) == (0, os.getgid(), groups)
        folder.chmod(0o755)
        with pytest.raises(PermissionError):
            invoker.write(folder / "report.txt", "two", who)
        assert os.geteuid() == 0
        assert [path.name for path in folder.iterdir()] == ["new"]


@root_only
def test_who_became_the_user_stays_the_user() -> None:
    who = invoker.find(UNDER_SUDO)
    assert who is not None
    child = os.fork()
    if child == 0:
        who.become()
        same = {*os.getresuid(), *os.getresgid()} == {who.uid, who.gid}
        own = os.environ["HOME"] == str(who.home) and os.access("/proc/self/environ", os.R_OK)
        try:
            os.setuid(0)
        except PermissionError:
            os._exit(0 if same and own else 2)
        os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_without_sudo_a_file_is_written_as_ever(tmp_path: Path) -> None:
    target = tmp_path / "report.txt"
    invoker.write(target, "one", None)
    invoker.write(target, "two", None)
    assert target.read_text() == "two"
    assert list(tmp_path.iterdir()) == [target]


def test_a_users_programs_do_not_get_roots_folders() -> None:
    who = invoker.Invoker(1, 1, "ada", Path("/home/ada"))
    given = {"HOME": "/root", "XDG_STATE_HOME": "/root/x", "OMNIMIND_STATE": "/s", "USER": "root"}
    assert who.environment(given) == {
        "HOME": "/home/ada",
        "USER": "ada",
        "LOGNAME": "ada",
        "OMNIMIND_STATE": "/s",
    }
