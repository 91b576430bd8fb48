"""Nothing outside the roots is reachable, and inside them not everything is served."""

from __future__ import annotations

import contextlib
import os
import socket
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from omnimind.linux import openat2
from omnimind.servers.filesystem import edit, files, listing
from omnimind.servers.filesystem.roots import Roots, open_roots
from omnimind.servers.problem import Problem

CANARY = "OUTSIDE"


@pytest.fixture
def arena(tmp_path: Path) -> Path:
    return furnished(tmp_path)


@pytest.fixture(scope="module")
def worn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An arena that many examples change one after the other."""
    return furnished(tmp_path_factory.mktemp("arena"))


def furnished(base: Path) -> Path:
    """A root among folders that must not be reached, with every kind of link to them."""
    for name in ("root", "root-evil", "root2", "outside"):
        (base / name / "sub").mkdir(parents=True)
        (base / name / "file").write_text(CANARY if name != "root" else "inside")
        (base / name / ("inner" if name == "root" else CANARY)).touch()
        (base / name / "sub" / "file").write_text(CANARY if name != "root" else "inside")
    links = {
        "to-file": "../outside/file",
        "to-folder": "../outside",
        "absolute": str(base / "outside"),
        "to-parent": "..",
        "to-proc": "/proc/self/root",
        "to-self": "sub",
        "loop": "loop",
        "dangling": "nothing",
        "caf\u0065\u0301": "../outside",
        "dangling-out": "../outside/new",
        "chain": "to-folder",
    }
    for name, target in links.items():
        (base / "root" / name).symlink_to(target)
    return base


PARTS = st.sampled_from(
    [
        "root",
        "root-evil",
        "outside",
        "file",
        "sub",
        "to-file",
        "to-folder",
        "absolute",
        "to-parent",
        "to-proc",
        "to-self",
        "loop",
        "dangling",
        "dangling-out",
        "chain",
        "..",
        ".",
        "...",
        "~",
        "~root",
        "%2e%2e",
        "..",
        "/",
        "//",
        "proc",
        "self",
        "cwd",
        "fd",
        "etc",
        "passwd",
        "\\..\\",
        "\u2024\u2024",
        "\uff0e\uff0e",
        "\u202e",
        "a\tb",
        "caf\u00e9",
        "caf\u0065\u0301",
    ]
)


@st.composite
def paths(draw: st.DrawFn) -> str:
    start = draw(st.sampled_from(["", "/", "{base}/root/", "{base}/root", "{base}/", "//", "~/", "./"]))
    return start + "/".join(draw(st.lists(PARTS | st.text(max_size=6), max_size=8)))


def ways_in(roots: Roots, path: str) -> list[str]:
    """What every way of reading makes of a path."""
    seen: list[str] = []
    for way in (
        lambda: files.read_text(roots, path),
        lambda: files.read_many(roots, [path]).replace(path, ""),
        lambda: files.read_media(roots, path).data.decode(errors="replace"),
        lambda: listing.plain(roots, path),
        lambda: listing.with_sizes(roots, path, "size"),
        lambda: listing.tree(roots, path, [], lambda _: None),
        lambda: listing.search(roots, path, "**", [], lambda _: None),
        lambda: edit.edit_file(roots, path, [edit.Edit(CANARY, "x")], True),
    ):
        try:
            seen.append(way())
        except Problem:
            continue
    return seen


@settings(max_examples=250, deadline=None)
@given(paths())
@pytest.mark.parametrize("way", ["openat2", "walk"])
def test_no_path_escapes(worn: Path, way: str, path: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        if way == "walk":
            patch.setattr(openat2, "has_openat2", lambda: False)
        roots = open_roots([str(worn / "root")])
        wanted = path.replace("{base}", str(worn))
        for text in ways_in(roots, wanted):
            assert CANARY not in text
        before = outside(worn)
        for change in (
            lambda: files.write_text(roots, wanted, "written"),
            lambda: files.make_directory(roots, wanted),
            lambda: files.move(roots, str(worn / "root" / "sub" / "file"), wanted),
            lambda: edit.edit_file(roots, wanted, [edit.Edit("e", "E")], True),
        ):
            with contextlib.suppress(Problem):
                change()
        assert outside(worn) == before


def outside(arena: Path) -> set[str]:
    return {
        f"{path}:{path.read_text() if path.is_file() else ''}"
        for name in ("root-evil", "root2", "outside")
        for path in (arena / name).rglob("*")
    } | {path.name for path in arena.iterdir()}


@pytest.mark.parametrize("path", ["../root-evil/file", "{base}/root-evil/file", "{base}/root/../root2/file"])
def test_a_sibling_with_the_same_prefix_is_outside(arena: Path, path: str) -> None:
    roots = open_roots([str(arena / "root")])
    with pytest.raises(Problem, match="allowed directories"):
        files.read_text(roots, path.replace("{base}", str(arena)))


def test_links_between_two_roots_are_followed(arena: Path) -> None:
    roots = open_roots([str(arena / "root"), str(arena / "outside")])
    assert files.read_text(roots, str(arena / "root" / "to-file")) == CANARY
    assert files.read_text(roots, str(arena / "root" / "absolute" / "file")) == CANARY


def test_a_root_may_be_named_through_a_link(arena: Path, tmp_path: Path) -> None:
    alias = tmp_path / "alias"
    alias.symlink_to(arena / "root")
    roots = open_roots([str(alias)])
    assert files.read_text(roots, f"{alias}/file") == "inside"
    assert files.read_text(roots, str(arena / "root" / "file")) == "inside"


def test_fifos_sockets_and_devices_are_refused_without_being_opened(tmp_path: Path) -> None:
    roots = open_roots([str(tmp_path)])
    os.mkfifo(tmp_path / "fifo")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "socket"))
    names = ["fifo", "socket"]
    if os.geteuid() == 0:
        os.mknod(tmp_path / "device", stat.S_IFCHR | 0o600, os.makedev(1, 5))
        names.append("device")
    for name in names:
        for use in (files.read_text, files.read_media):
            with pytest.raises(Problem, match="not a regular file"):
                use(roots, name)
        with pytest.raises(Problem, match="not a regular file"):
            files.write_text(roots, name, "x")


def test_what_is_no_file_is_neither_edited_nor_read_among_others(tmp_path: Path) -> None:
    roots = open_roots([str(tmp_path)])
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(Problem, match="a FIFO, not a regular file"):
        edit.edit_file(roots, "fifo", [edit.Edit("a", "b")], False)
    assert "a FIFO, not a regular file" in files.read_many(roots, ["fifo"])
    assert "fifo" in listing.search(roots, ".", "*", [], lambda _: None)
    assert not files.info(roots, "fifo").is_file


def test_a_second_name_of_a_file_is_read_but_a_write_leaves_the_other_alone(arena: Path) -> None:
    """A hard link is not a way out that could be told from a file: both names are the file. Nobody can make one
    through this server, and a write gives its name a new file."""
    inside, other = arena / "root" / "hard", arena / "outside" / "file"
    os.link(other, inside)
    roots = open_roots([str(arena / "root")])
    assert files.read_text(roots, "hard") == CANARY
    files.write_text(roots, "hard", "mine")
    edit.edit_file(roots, "hard", [edit.Edit("mine", "still mine")], False)
    assert inside.read_text() == "still mine"
    assert other.read_text() == CANARY


@pytest.mark.parametrize(
    "link", ["to-file", "to-folder", "chain", "absolute", "to-proc", "to-parent", "dangling-out"]
)
def test_a_link_that_leads_out_is_refused_by_every_tool(arena: Path, link: str) -> None:
    roots = open_roots([str(arena / "root")])
    before = outside(arena)
    for path in (link, f"{link}/file", f"{link}/sub", f"{link}/root/etc/passwd"):
        uses: list[Callable[[str], object]] = [
            lambda path: files.read_text(roots, path),
            lambda path: files.read_media(roots, path),
            lambda path: files.info(roots, path),
            lambda path: listing.plain(roots, path),
            lambda path: listing.with_sizes(roots, path, "name"),
            lambda path: listing.tree(roots, path, [], lambda _: None),
            lambda path: listing.search(roots, path, "*", [], lambda _: None),
            lambda path: edit.edit_file(roots, path, [edit.Edit(CANARY, "x")], False),
            lambda path: files.move(roots, "file", f"{path}/moved"),
        ]
        for use in uses:
            with pytest.raises(Problem):
                use(path)
    assert outside(arena) == before


SECRETS = [
    ".ssh/id_ed25519",
    "home/.ssh/config",
    ".aws/credentials",
    ".config/gcloud/credentials.db",
    ".kube/config",
    ".docker/config.json",
    ".netrc",
    ".git-credentials",
    "keys/id_rsa",
    ".mozilla/firefox/x/logins.json",
]


@pytest.mark.parametrize("name", SECRETS)
def test_credential_files_are_closed_by_every_way(tmp_path: Path, name: str) -> None:
    secret = tmp_path / name
    secret.parent.mkdir(parents=True, exist_ok=True)
    secret.write_text("KEY")
    (tmp_path / "innocent").symlink_to(name)
    roots = open_roots([str(tmp_path)])
    for path in (name, "innocent"):
        for use in (files.read_text, files.read_media):
            with pytest.raises(Problem, match="credentials"):
                use(roots, path)
        with pytest.raises(Problem, match="credentials"):
            files.write_text(roots, path, "x")
    with pytest.raises(Problem, match="credentials"):
        files.move(roots, name, "stolen")
    allowing = open_roots([str(tmp_path)], secrets_allowed=True)
    assert files.read_text(allowing, name) == "KEY"


def test_another_spelling_of_unicode_opens_no_credentials(tmp_path: Path) -> None:
    (tmp_path / "Library" / "Keychains").mkdir(parents=True)
    (tmp_path / "Library" / "Keychains" / "login").write_text("KEY")
    roots = open_roots([str(tmp_path)])
    for path in ("Library/\u212aeychains/login", "Library/\u212aeychains"):  # the sign for kelvin reads K
        with pytest.raises(Problem, match="credentials"):
            files.read_text(roots, path)
        with pytest.raises(Problem, match="credentials"):
            files.move(roots, path, "stolen")


def test_project_settings_are_no_credentials(tmp_path: Path) -> None:
    roots = open_roots([str(tmp_path)])
    for name in (".env", ".npmrc", ".gitconfig", "ssh.md", "id_rsa.pub"):
        (tmp_path / name).write_text("plain")
        assert files.read_text(roots, name) == "plain"


def test_the_fleets_own_state_is_closed_but_its_workspace_is_not(tmp_path: Path) -> None:
    state = tmp_path / "state"
    (state / "workspace").mkdir(parents=True)
    (state / "keys.json").write_text("KEY")
    closed = (str(state),)
    wide = open_roots([str(tmp_path)], closed=closed)
    with pytest.raises(Problem, match="OmniMind's own state"):
        files.read_text(wide, str(state / "keys.json"))
    with pytest.raises(Problem, match="OmniMind's own state"):
        files.write_text(wide, str(state / "keys.json"), "forged")
    assert "keys.json" not in listing.search(wide, ".", "**/*", [], lambda _: None)
    narrow = open_roots([str(state / "workspace")], closed=closed)
    assert files.write_text(narrow, "a", "x").name == "a"


def test_odd_paths_are_refused_in_words(tmp_path: Path) -> None:
    roots = open_roots([str(tmp_path)])
    for path, word in (("", "empty"), ("a\0b", "NUL"), ("\ud800", "Unicode"), ("x" * 5000, "4,096")):
        with pytest.raises(Problem, match=word):
            files.read_text(roots, path)
    with pytest.raises(Problem, match="too long"):
        files.read_text(roots, "x" * 300)


@pytest.mark.parametrize("opener", [openat2.open_beneath, openat2.walk_beneath])
def test_an_opener_refuses_what_leads_out(arena: Path, opener: object) -> None:
    assert callable(opener)
    directory = os.open(arena / "root", os.O_PATH)
    try:
        os.close(opener(directory, "sub/file", os.O_RDONLY))
        for path in (
            "../outside/file",
            "to-file",
            "to-folder/file",
            "to-proc/etc/passwd",
            "absolute/file",
            "loop",
        ):
            with pytest.raises(OSError, match=r".") as refusal:
                opener(directory, path, os.O_RDONLY)
            assert refusal.value.errno
    finally:
        os.close(directory)


def test_rename_does_not_replace_and_can_exchange(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("A")
    (tmp_path / "b").write_text("B")
    directory = os.open(tmp_path, os.O_PATH)
    try:
        with pytest.raises(FileExistsError):
            openat2.rename(directory, "a", directory, "b")
        openat2.rename(directory, "a", directory, "b", openat2.RENAME_EXCHANGE)
    finally:
        os.close(directory)
    assert (tmp_path / "a").read_text() == "B"
