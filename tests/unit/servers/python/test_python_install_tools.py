"""install_package with real wheels: from a folder, from an index on loopback, and what it leaves alone."""

from __future__ import annotations

import functools
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from code_session import CodeSession, code_session

from omnimind.linux import landlock, seccomp

pytestmark = pytest.mark.skipif(
    landlock.abi() == 0 or not seccomp.available(), reason="this machine has no jail"
)


def wheel(folder: Path, name: str, version: str, text: str, needs: str = "") -> Path:
    """A wheel with one module."""
    folder.mkdir(parents=True, exist_ok=True)
    made = folder / f"{name}-{version}-py3-none-any.whl"
    facts = f"{name}-{version}.dist-info"
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\nSummary: made here\n{needs}"
    tags = "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    with zipfile.ZipFile(made, "w") as archive:
        archive.writestr(f"{name}.py", text)
        archive.writestr(f"{facts}/METADATA", metadata)
        archive.writestr(f"{facts}/WHEEL", tags)
        archive.writestr(f"{facts}/RECORD", "")
    return made


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheels")
    wheel(folder, "tiny", "1.0", "VALUE = 1\n")
    wheel(folder, "tiny", "2.0", "VALUE = 2\n")
    wheel(folder, "needs_tiny", "1", "import tiny\n", "Requires-Dist: tiny<2\n")
    (folder / "source-1.tar.gz").write_bytes(b"never unpacked")
    return folder


@pytest.fixture(scope="module")
def tools(tmp_path_factory: pytest.TempPathFactory, wheels: Path) -> Iterator[CodeSession]:
    state = tmp_path_factory.mktemp("state") / "python"
    with code_session(state, args=["--allow-install", f"--find-links={wheels}"]) as session:
        yield session


def versions(tools: CodeSession) -> dict[str, str]:
    """What the principal has installed."""
    listed = tools.data("list_packages", query="made here")["packages"]
    return {one["name"]: one["version"] for one in listed if one["installed"]}


def test_wheels_are_installed_for_the_callers_code_and_all_or_nothing(tools: CodeSession) -> None:
    done = tools.data("install_package", packages=["needs_tiny"])
    assert [(one["name"], one["version"]) for one in done["packages"]] == [
        ("needs_tiny", "1"),
        ("tiny", "1.0"),
    ]
    code = "import needs_tiny\ndef test_a(): assert needs_tiny.tiny.VALUE == 1\n"
    assert tools.data("run_tests", code=code)["summary"] == {"passed": 1}
    conflict = tools.problem("install_package", packages=["tiny>=2"])
    assert "nothing was installed" in conflict
    assert versions(tools) == {"needs_tiny": "1", "tiny": "1.0"}
    write = "import tiny\ndef test_a(): open(tiny.__file__, 'a')\n"
    assert "PermissionError" in tools.data("run_tests", code=write)["tests"][0]["message"]


def test_what_is_no_wheel_of_the_operators_is_refused(tools: CodeSession, wheels: Path) -> None:
    missing = tools.problem("install_package", packages=["source"])
    assert "Only wheels" in missing
    assert str(wheels) not in missing
    assert "not a requirement" in tools.problem(
        "install_package", packages=[f"{wheels}/tiny-2.0-py3-none-any.whl"]
    )
    assert "not enabled" not in missing


def test_without_the_operators_word_nothing_is_installed(tmp_path: Path) -> None:
    with code_session(tmp_path / "python") as session:
        assert "--allow-install" in session.problem("install_package", packages=["tiny"])
        assert "not allowed" in session.data("python_info")["install"]
        assert not (tmp_path / "python" / "packages").exists()


@contextmanager
def index(folder: Path) -> Iterator[str]:
    """A package index on loopback."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/simple"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_an_index_is_reached_by_an_install_and_by_nothing_else(tmp_path: Path) -> None:
    made = wheel(tmp_path / "served" / "simple" / "tiny", "tiny", "1.0", "VALUE = 1\n")
    (made.parent / "index.html").write_text(f'<a href="{made.name}">{made.name}</a>')
    with (
        index(tmp_path / "served") as address,
        code_session(tmp_path / "python", args=["--allow-install", f"--index={address}"]) as session,
    ):
        assert session.data("install_package", packages=["tiny"])["total"] == 1
        said = session.problem("install_package", packages=["nothing-like-it"])
        assert address not in said
        code = f"import urllib.request\ndef test_a(): urllib.request.urlopen('{address}', timeout=5)\n"
        (test,) = session.data("run_tests", code=code)["tests"]
        assert test["outcome"] == "failed"
        assert "not permitted" in test["message"] or "denied" in test["message"]
