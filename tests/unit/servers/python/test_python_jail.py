"""The jail by itself: what a job is given and refused, what becomes of its zygote, and of a machine without one."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import psutil
import pytest

from omnimind.linux import landlock, seccomp
from omnimind.servers.problem import Problem
from omnimind.servers.python import scratch
from omnimind.servers.python.inside import confine, frames, libraries
from omnimind.servers.python.jail import Call, Code, Jail, Job, Limits, Outcome, Program, Warm, usage
from tests.fleet import wait_until

jailed = pytest.mark.skipif(landlock.abi() == 0 or not seccomp.available(), reason="this machine has no jail")
INTERPRETER = os.path.realpath(sys.executable)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("python")


@pytest.fixture(scope="module")
def allowed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("allowed")
    (folder / "file").write_text("for you")
    return folder


@pytest.fixture(scope="module")
def jail(home: Path, allowed: Path) -> Iterator[Jail]:
    made = Jail.start(home, read=[str(allowed)])
    yield made
    made.close()


@pytest.fixture
def folder(home: Path) -> Path:
    made = scratch.Scratch(home / "scratch").new("somebody")
    assert made.stat().st_mode & 0o077 == 0
    return made


def run(jail: Jail, job: Job, **more: Any) -> Outcome:
    async def once() -> Outcome:
        return await jail.run(job, **more)

    return anyio.run(once)


def value(outcome: Outcome) -> Any:
    return outcome.value["value"] if isinstance(outcome.value, dict) else None


@jailed
def test_a_job_reads_what_it_names_and_nothing_that_another_may(
    jail: Jail, allowed: Path, folder: Path
) -> None:
    code = Code(f"open({str(allowed / 'file')!r}).read()")
    assert value(run(jail, Job(code, folder, read=(str(allowed),)))) == "'for you'"
    assert run(jail, Job(code, folder)).value["error"]["type"] == "PermissionError"


@jailed
def test_a_job_cannot_be_given_what_the_jail_was_not(jail: Jail, tmp_path: Path, folder: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    code = Code(f"open({str(tmp_path / 'secret')!r}).read()")
    outcome = run(jail, Job(code, folder, read=(str(tmp_path),), write=(str(tmp_path),)))
    assert outcome.value["error"]["type"] == "PermissionError"


@jailed
def test_a_function_of_ours_runs_in_the_jail(jail: Jail, folder: Path) -> None:
    outcome = run(jail, Job(Call("os:getcwd"), folder))
    assert (outcome.end, outcome.value) == ("done", str(folder))
    outcome = run(jail, Job(Call("os:listdir", {"path": "/proc"}), folder))
    assert (outcome.end, outcome.exit_code) == ("failed", 1)
    assert b"PermissionError" in outcome.stderr


@jailed
def test_one_program_may_be_executed_and_can_start_no_other(jail: Jail, folder: Path) -> None:
    code = (
        "import os, sys\nprint(sys.stdin.read())\n"
        "for act in (lambda: os.execv('/bin/true', ['true']), os.fork, lambda: open('/etc/passwd')):\n"
        "    try: act()\n    except OSError as e: print(type(e).__name__)"
    )
    program = Program(INTERPRETER, ("-I", "-S", "-c", code))
    outcome = run(jail, Job(program, folder, stdin=b"said"))
    assert outcome.stdout == b"said\n" + b"PermissionError\n" * 3, outcome
    assert run(jail, Job(Program("/bin/false"), folder)).end == "failed"


@jailed
def test_stdin_of_code_is_empty_or_what_was_given(jail: Jail, folder: Path) -> None:
    code = Code("import sys; len(sys.stdin.read())")
    assert value(run(jail, Job(code, folder))) == "0"
    assert value(run(jail, Job(code, folder, stdin=b"x" * 100_000))) == "100000"


@jailed
def test_the_network_needs_a_jail_that_was_started_with_it(jail: Jail, folder: Path) -> None:
    code = Code("import socket; socket.create_connection(('127.0.0.1', 9), 1)")
    refused = {
        run(jail, Job(code, folder, network=network)).value["error"]["type"] for network in (False, True)
    }
    assert refused == (
        {"PermissionError"} if landlock.abi() >= 4 else {"PermissionError", "ConnectionRefusedError"}
    )


@jailed
def test_a_dead_zygote_is_replaced_where_processes_may_be_started(tmp_path: Path) -> None:
    home = tmp_path / "python"
    home.mkdir()
    before = {child.pid for child in psutil.Process().children()}
    jail = Jail.start(home)
    folders = scratch.Scratch(home / "scratch")

    async def lose() -> None:
        assert value(await jail.run(Job(Code("1"), folders.new("x")))) == "1"
        zygote = next(child for child in psutil.Process().children() if child.pid not in before)
        async with anyio.create_task_group() as tasks:
            outcomes: list[Outcome] = []

            async def one() -> None:
                outcomes.append(await jail.run(Job(Code("while True: pass"), folders.new("x"))))

            tasks.start_soon(one)
            running: list[psutil.Process] = []
            while not running:
                await anyio.sleep(0.01)
                running = [child for child in zygote.children() if child.name() == "omnimind-job"]
            zygote.kill()
        zygote.wait()
        assert [outcome.end for outcome in outcomes] == ["lost"]
        assert "try again" in outcomes[0].why(Limits())
        psutil.wait_procs(running, timeout=10)
        assert not running[0].is_running()
        assert value(await jail.run(Job(Code("2"), folders.new("x")))) == "2"

    anyio.run(lose)
    jail.close()


@jailed
def test_a_zygote_that_cannot_warm_up_is_told_and_the_jail_goes_on(jail: Jail, folder: Path) -> None:
    warm = ("nothing", Warm(("no_such_module",), {}))
    assert value(run(jail, Job(Code("1 + 1"), folder), warm=warm)) == "2"


@jailed
def test_a_warm_zygote_has_imported_already(jail: Jail, folder: Path) -> None:
    code = Code("import sys\n'colorsys' in sys.modules")
    assert value(run(jail, Job(code, folder))) == "False"
    assert value(run(jail, Job(code, folder), warm=("colours", Warm(("colorsys",), {})))) == "True"


@pytest.mark.parametrize("why", ["the kernel has no Landlock", "system calls cannot be filtered"])
def test_without_a_jail_nothing_runs(why: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(confine, "why_not", lambda: why)
    children = len(psutil.Process().children())
    jail = Jail.start(tmp_path)
    with pytest.raises(Problem, match=f"{why}.*never run without a jail.*omnimind doctor"):
        run(jail, Job(Code("open('ran', 'w')"), tmp_path))
    assert not (tmp_path / "ran").exists()
    assert len(psutil.Process().children()) == children


@jailed
def test_a_state_folder_among_the_libraries_is_refused(tmp_path: Path) -> None:
    home = Path(libraries.libraries()[0])
    jail = Jail.start(home / "python")
    with pytest.raises(Problem, match="move it"):
        run(jail, Job(Code("1"), tmp_path))
    jail.close()


def test_paths_beneath_others_are_left_out(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "ab").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "a" / "b")
    paths = [str(tmp_path / name) for name in ("ab", "a/b", "a", "link")]
    assert libraries.outermost(paths) == [str(tmp_path / "a"), str(tmp_path / "ab")]


def test_frames_come_in_any_pieces_and_none_is_too_long() -> None:
    read, write = os.pipe()
    frames.write(write, {"a": [1, b"x", None]})
    frames.write(write, "second")
    os.close(write)
    data = os.read(read, 1000)
    os.close(read)
    reader = frames.Reader()
    found = [message for at in range(len(data)) for message in reader.feed(data[at : at + 1])]
    assert found == [{"a": [1, b"x", None]}, "second"]
    for junk in (b"\xff\xff\xff\x7f", b"\1\0\0\0\xc1", b"\1\0\0\0\x91"):
        with pytest.raises(frames.BrokenFrameError):
            frames.Reader().feed(junk)
    deep = b"\x91" * 100_000
    with pytest.raises(frames.BrokenFrameError):
        frames.Reader().feed(len(deep).to_bytes(4, "little") + deep)


def test_what_files_take_is_counted_without_following_links(tmp_path: Path) -> None:
    folder, outside = tmp_path / "in", tmp_path / "out"
    (folder / "sub").mkdir(parents=True)
    outside.write_bytes(b"x" * 1_000_000)
    (folder / "link").symlink_to(outside)
    (folder / "loop").symlink_to(folder)
    assert not usage.over(folder, 500_000)
    (folder / "sub" / "file").write_bytes(b"x" * 600_000)
    os.sync()
    assert usage.over(folder, 500_000)


def test_folders_that_were_shut_are_removed_too(tmp_path: Path) -> None:
    deep = tmp_path / "run" / "a" / "b"
    deep.mkdir(parents=True)
    (deep / "file").write_text("x")
    for folder in (deep, deep.parent):
        folder.chmod(0)
    scratch.remove(tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_of_runs_that_left_files_the_last_few_are_kept(tmp_path: Path) -> None:
    folders = scratch.Scratch(tmp_path)
    made = [folders.new("ada") for _ in range(scratch.KEPT_RUNS + 3)]
    for age, folder in enumerate(reversed(made)):
        os.utime(folder, (0, os.stat(folder).st_mtime - age))
    other = folders.new("bob")
    folders.sweep("ada")
    wait_until(lambda: len(list(made[0].parent.iterdir())) == scratch.KEPT_RUNS, 10, "the others are removed")
    assert [folder.exists() for folder in made] == [False] * 3 + [True] * scratch.KEPT_RUNS
    assert other.exists()
    with pytest.raises(Problem):
        folders.run("bob", folders.handle(made[-1]))
