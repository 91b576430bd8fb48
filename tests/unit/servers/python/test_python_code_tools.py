"""lint, format, format_files, type_check and run_tests, with the real tools in the real jail."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest
from code_session import CodeSession, code_session

from omnimind.linux import landlock, seccomp
from omnimind.servers.filesystem.roots import open_roots
from omnimind.servers.problem import Problem
from omnimind.servers.python import check_tools, workbench
from omnimind.servers.python.checking import Changed
from omnimind.servers.python.inside import confine
from omnimind.servers.python.sources import copied

pytestmark = pytest.mark.skipif(
    landlock.abi() == 0 or not seccomp.available(), reason="this machine has no jail"
)
HANG_S = 30.0
SNIPPET = "import os\nfrom typing import List\n\n\ndef half(number: int) -> str:\n    return number\n"


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("root")


@pytest.fixture(scope="module")
def tools(tmp_path_factory: pytest.TempPathFactory, root: Path) -> Iterator[CodeSession]:
    with code_session(tmp_path_factory.mktemp("state") / "python", [root]) as session:
        yield session


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    """A file that anybody may read, by its mode."""
    file = tmp_path / "secret.toml"
    file.write_text("line-length = 'kept-from-you'\n")
    file.chmod(0o644)
    return file


def test_lint_finds_pages_and_fixes(tools: CodeSession) -> None:
    found = tools.data("lint", code=SNIPPET, select=["F", "UP"])
    assert [(one["code"], one["line"], one["fixable"]) for one in found["findings"]] == [
        ("F401", 1, True),
        ("UP035", 2, False),
        ("F401", 2, True),
    ]
    assert {one["path"] for one in found["findings"]} == {"snippet.py"}
    page = tools.data("lint", code=SNIPPET, select=["F", "UP"], limit=1, offset=1)
    assert (page["findings"][0]["code"], page["total"], page["next_offset"]) == ("UP035", 3, 2)
    fixed = tools.data("lint", code=SNIPPET, select=["F", "UP"], fix=True)
    assert fixed["findings"] == []
    assert fixed["files"]["snippet.py"].startswith("\n\ndef half")
    assert "-import os\n" in fixed["diff"]
    assert "found nothing" in tools.text("lint", code="x = 1\n", select=["F"])


def test_lint_reads_the_configuration_it_is_given(tools: CodeSession) -> None:
    files = {"pkg/a.py": "import os\n", "pyproject.toml": "[tool.ruff.lint]\nselect = ['D100']\n"}
    found = tools.data("lint", files=files)
    assert found["by_code"] == {"D100": 1}
    assert found["findings"][0]["path"] == "pkg/a.py"
    assert "Unknown rule selector" in tools.problem("lint", code="", select=["NOPE1"])
    assert "pyproject.toml" in tools.problem("lint", files={"a.py": "", "pyproject.toml": "[tool.ruff"})


def test_an_answer_larger_than_a_pipe_comes_through(tools: CodeSession) -> None:
    found = tools.data("lint", code="import os\n" * 3_000, select=["F401", "F811"], limit=1)
    assert found["total"] > 2_999


def test_format_returns_text_and_difference(tools: CodeSession) -> None:
    assert tools.text("format", code="x=1\ny = {  'a':2}") == 'x = 1\ny = {"a": 2}\n'
    already = tools.data("format", code="x = 1\n")
    assert (already["changed"], already["diff"], already["files"]) == ([], "", {"snippet.py": "x = 1\n"})
    several = tools.data("format", files={"a.py": "x=1\n", "b.py": "def f(:\n", "c.py": "x = 1\n"})
    assert several["changed"] == ["a.py"]
    assert several["files"] == {"a.py": "x = 1\n"}
    assert several["unparsed"][0]["path"] == "b.py"
    assert "line 1, column 7" in tools.problem("format", code="def f(:\n")
    assert "end in .py" in tools.problem("format", files={"a.txt": "x"})
    long = f"f({', '.join(['argument'] * 9)})\n"
    assert tools.text("format", code=long, line_length=200) == long


def test_files_change_only_when_that_was_asked(tools: CodeSession, root: Path) -> None:
    file = root / "messy.py"
    file.write_text("x=1\n")
    file.chmod(0o640)
    seen = tools.data("format_files", path=str(root))
    assert (seen["changed"], seen["written"]) == (["messy.py"], False)
    assert file.read_text() == "x=1\n"
    assert tools.data("format_files", path="messy.py", write=True)["written"]
    assert file.read_text() == "x = 1\n"
    assert file.stat().st_mode & 0o777 == 0o640
    assert not tools.data("format_files", path=str(root), write=True)["written"]
    assert "outside" in tools.problem("format_files", path="/etc", write=True)
    assert tools.data("lint", path="messy.py", select=["F"])["total"] == 0


def test_a_file_that_somebody_changed_meanwhile_is_left_alone(tools: CodeSession, root: Path) -> None:
    file = root / "raced.py"
    file.write_text("x=1\n")
    there = open_roots([str(root)])
    given = copied(there, str(file), lambda name: True, lambda: None)
    file.write_text("x=2\n")
    with pytest.raises(Problem, match="changed by somebody"):
        check_tools._write(there, given, Changed({"raced.py": b"x = 1\n"}, ""))
    assert file.read_text() == "x=2\n"


@pytest.mark.roomy
def test_types_are_checked_and_the_second_time_is_quick(tools: CodeSession) -> None:
    found = tools.data("type_check", code=SNIPPET)
    (one,) = found["findings"]
    assert (one["code"], one["line"], one["column"], one["severity"]) == ("return-value", 6, 12, "error")
    again = time.monotonic()
    assert tools.data("type_check", code=SNIPPET)["total"] == 1
    assert time.monotonic() - again < 10
    assert tools.data("type_check", code="def f(a): pass\n")["total"] == 0
    assert tools.data("type_check", code="def f(a): pass\n", strict=True)["by_code"] == {"no-untyped-def": 1}
    package = {
        "pkg/__init__.py": "",
        "pkg/a.py": "x: int = 1\n",
        "main.py": "from pkg.a import x\nx.upper()\n",
    }
    assert tools.data("type_check", files=package)["findings"][0]["path"] == "main.py"


def test_a_cache_that_is_broken_or_in_use_costs_time_only(tools: CodeSession) -> None:
    with tools.bench.cache("local", 1 << 30) as kept:
        assert kept is not None
        broken = [file for file in kept.rglob("*.db") if file.write_bytes(b"no database" * 99)]
        assert broken
        found = tools.data("type_check", code=SNIPPET)
        assert found["total"] == 1, "another run has the cache, so this one does without"
    assert tools.data("type_check", code=SNIPPET)["total"] == 1
    with tools.bench.cache("local", 0) as kept:
        assert list(kept.iterdir()) == []


def test_tests_run_with_outcomes_pages_and_progress(tools: CodeSession) -> None:
    code = "import pytest\n@pytest.mark.parametrize('n', range(5))\ndef test_n(n): assert n != 3\n"
    seen: list[tuple[float, float | None]] = []

    async def heard(done: float, total: float | None, message: str | None) -> None:
        seen.append((done, total))

    async def work(client: Any) -> Any:
        return await client.call_tool("run_tests", {"code": code, "limit": 2}, progress_callback=heard)

    first = tools.ask(work).structured_content
    assert first["summary"] == {"failed": 1, "passed": 4}
    assert (first["ended"], first["total"], first["next_offset"]) == ("failed", 5, 2)
    assert first["tests"][0]["name"] == "test_snippet.py::test_n[3]"
    assert seen[-1] == (5.0, 5.0)
    rest = tools.data("run_tests", run=first["run"], offset=2, limit=9)
    assert [test["name"][-3:] for test in rest["tests"]] == ["[1]", "[2]", "[4]"]
    assert "next_offset" not in rest
    assert "no run" in tools.problem("run_tests", run="0" * 12)
    assert "no run" in tools.problem("run_tests", run="../../x")
    assert "without code" in tools.problem("run_tests", run=first["run"], code="x")


def test_a_run_that_takes_too_long_says_in_which_test(tools: CodeSession) -> None:
    code = "import time\ndef test_a(): pass\ndef test_b(): time.sleep(60)\n"
    run = tools.data("run_tests", code=code, timeout_s=1)
    assert run["ended"] == "stopped"
    assert "1 s" in run["why"]
    assert [(test["name"][-1], test["outcome"]) for test in run["tests"]] == [
        ("b", "crashed"),
        ("a", "passed"),
    ]


def test_text_that_no_message_can_carry_is_told_with_question_marks(tools: CodeSession) -> None:
    ran = tools.data("run_tests", code="def test_a(): raise ValueError('half \\ud800 of a pair')\n")
    assert "half ? of a pair" in ran["tests"][0]["message"]


@pytest.mark.roomy
def test_a_flood_of_output_ends_in_time_and_holds_nobody_up(tools: CodeSession) -> None:
    code = (
        "import os\ndef test_a():\n    data = b'{}\\n' * 20000\n    while True:\n"
        "        for pipe in range(5, 8):\n            try: os.write(pipe, data)\n            except OSError: pass\n"
    )

    async def work(client: Any) -> tuple[Any, int]:
        meanwhile, ran = 0, None

        async def run() -> None:
            nonlocal ran
            ran = await client.call_tool("run_tests", {"code": code, "timeout_s": 3})

        async with anyio.create_task_group() as group:
            group.start_soon(run)
            while ran is None:
                await client.call_tool("lint", {"code": "x = 1\n"})
                meanwhile += 1
        return ran, meanwhile

    started = time.monotonic()
    ran, meanwhile = tools.ask(work)
    assert "3 s" in ran.structured_content["why"]
    assert meanwhile > 3
    assert time.monotonic() - started < 20


def test_mistakes_in_what_is_given_to_pytest_are_told(tools: CodeSession) -> None:
    bad = tools.data("run_tests", files={"test_a.py": "", "pytest.ini": "[pytest]\naddopts = --no-such\n"})
    assert bad["ended"] == "usage error"
    assert "--no-such" in bad["log"]
    assert tools.data("run_tests", code="x = 1\n")["ended"] == "no tests"
    broken = tools.data(
        "run_tests", files={"test_a.py": "", "conftest.py": "raise OSError('conftest broke')"}
    )
    assert broken["summary"] == {}
    assert "conftest broke" in broken["log"]


async def until(found: Callable[[], Any]) -> Any:
    """What is found, once there is something."""
    with anyio.fail_after(HANG_S):
        while not (this := found()):  # noqa: ASYNC110 - another process makes it true
            await anyio.sleep(0.02)
        return this


def pid_of_the_run(base: Path) -> int | None:
    return next((int(file.read_text()) for file in base.glob("runs/*/pid")), None)


def alive(pid: int) -> bool:
    return os.path.exists(f"/proc/{pid}")


def test_cancelling_ends_the_tests(tools: CodeSession) -> None:
    code = (
        "import os, time\ndef test_a():\n    open('at', 'w').write(str(os.getpid()))\n"
        "    os.rename('at', 'pid')\n    time.sleep(60)\n"
    )

    async def work(client: Any) -> Any:
        async with anyio.create_task_group() as group:
            group.start_soon(client.call_tool, "run_tests", {"code": code})
            pid = await until(lambda: pid_of_the_run(tools.base))
            group.cancel_scope.cancel()
        await until(lambda: not alive(pid))
        return pid

    assert tools.ask(work) > 1
    assert not list(tools.base.glob("runs/*")), "its folder goes with it"


def test_no_configuration_gets_out_of_the_jail(tools: CodeSession, secret: Path, tmp_path: Path) -> None:
    said = tools.problem("lint", files={"a.py": "", "ruff.toml": f"extend = '{secret}'\n"})
    assert "kept-from-you" not in said
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        attempts = (
            f"open({str(secret)!r}).read()",
            f"open({str(tmp_path / 'written')!r}, 'w').write('x')",
            f"__import__('socket').create_connection(('127.0.0.1', {port}), 2)",
            "__import__('subprocess').run(['/bin/true'])",
            "__import__('os').fork()",
            f"__import__('os').kill({os.getpid()}, 0)",
        )
        probe = "def probe():\n    said = []\n"
        for attempt in attempts:
            probe += f"    try:\n        {attempt}\n        said.append('done')\n"
            probe += "    except OSError as refusal:\n        said.append('refused')\n"
        probe += "    return said\n"
        plugin = f"{probe}\nraise RuntimeError(repr(probe()))\n"
        files = {"a.py": "", "plug.py": plugin, "mypy.ini": "[mypy]\nplugins = plug.py\n"}
        (told,) = tools.data("type_check", files=files)["findings"]
        assert told["message"].endswith(repr(["refused"] * len(attempts))), told
        conftest = f"{probe}\nimport pytest\n@pytest.fixture\ndef said(): return probe()\n"
        test = f"def test_said(said): assert said == ['refused'] * {len(attempts)}\n"
        ran = tools.data("run_tests", files={"conftest.py": conftest, "test_a.py": test})
        assert ran["summary"] == {"passed": 1}, ran
    assert not (tmp_path / "written").exists()


def test_nothing_is_left_of_a_run_but_caches_and_reports(tools: CodeSession) -> None:
    tools.data("lint", code="x = 1\n")
    assert not list((tools.base / "runs").iterdir())
    assert {entry.name for entry in tools.base.iterdir()} <= {"runs", "cache", "reports"}


def test_principals_share_nothing(tools: CodeSession) -> None:
    one, other = tools.bench.environment("ada"), tools.bench.environment("../ada")
    assert one.folder.parent == other.folder.parent == tools.base / "packages"
    assert one.folder != other.folder
    assert tools.bench.reports("ada") != tools.bench.reports("bob")


def test_without_a_jail_nothing_runs_and_the_rest_still_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(confine, "why_not", lambda: "the kernel has no Landlock")
    with code_session(tmp_path / "python") as session:
        for tool, arguments in (
            ("lint", {"code": "x = 1"}),
            ("format", {"code": "x = 1"}),
            ("type_check", {"code": "x = 1"}),
            ("run_tests", {"code": "def test_a(): pass"}),
        ):
            assert "no Landlock" in session.problem(tool, **arguments)
        assert session.data("list_packages", query="pytest")["total"] > 0
        info = session.data("python_info")
        assert info["jail"] == {
            "available": False,
            "why": "the kernel has no Landlock",
            "landlock_abi": landlock.abi(),
        }
        assert "no folders" in session.problem("lint", path="/tmp/x.py")
        assert "no folders" in session.problem("format_files", path="x.py")


def test_what_is_not_installed_is_named_with_the_command_that_adds_it() -> None:
    for ask in (workbench.program, workbench.require):
        with pytest.raises(Problem, match=r"pip install ruff mypy pytest"):
            ask("no_such_tool")
