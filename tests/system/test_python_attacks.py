"""The jail of the python server under attack, in the worker process as the fleet starts it."""

from __future__ import annotations

import asyncio
import contextlib
import getpass
import json
import secrets
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psutil
import pytest

from omnimind.linux import landlock, seccomp
from tests.fleet import wait_until
from tests.system import python_attacks
from tests.system.python_attacks import ALL, PRELUDE, Attack
from tests.system.worker_process import Peer, WorkerProcess, connected, worker

pytestmark = pytest.mark.skipif(
    landlock.abi() == 0 or not seccomp.available(), reason="this machine has no jail: the server refuses"
)
CANARY = "canary-" + secrets.token_hex(8)
ARGS = ("--memory-mb=256", "--disk-mb=16", "--timeout-s=20", "--sessions=8")


class Jailed:
    """A worker, asked from plain tests."""

    def __init__(self, running: WorkerProcess, state: Path) -> None:
        self.running, self.state = running, state

    def ask(self, work: Callable[[Peer], Awaitable[Any]], principal: str = "alice") -> Any:
        async def run() -> Any:
            async with connected(self.running, principal) as peer:
                return await asyncio.wait_for(work(peer), 50)

        return asyncio.run(run())

    def execute(self, code: str, principal: str = "alice", **more: Any) -> dict[str, Any]:
        arguments = {"code": code, "engine": "jail", **more}
        if "session_id" in more:
            del arguments["engine"]
        result: dict[str, Any] = self.ask(lambda peer: peer.call("execute", arguments), principal)
        assert "structuredContent" in result, result["content"]
        return result

    def run(self, code: str, principal: str = "alice", **more: Any) -> dict[str, Any]:
        data: dict[str, Any] = self.execute(code, principal, **more)["structuredContent"]
        return data

    def jobs(self) -> list[psutil.Process]:
        """The jail's processes that run code now."""
        found = psutil.Process(self.running.process.pid).children(recursive=True)
        return [process for process in found if process.name() == "omnimind-job"]


@pytest.fixture(scope="module")
def jailed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Jailed]:
    state = tmp_path_factory.mktemp("state")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMNIMIND_CANARY", CANARY)
        with worker("python", state, *ARGS) as running:
            yield Jailed(running, state)


@pytest.fixture(scope="module")
def targets(jailed: Jailed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """What the attacks aim at: files, sockets, a process, another principal's folder."""
    outside = tmp_path_factory.mktemp("outside")
    for name in ("secret", "victim", "gone"):
        (outside / name).write_text("untouched")
        (outside / name).chmod(0o666)
    outside.chmod(0o777)
    with ExitStack() as held:
        tcp = held.enter_context(socket.create_server(("127.0.0.1", 0)))
        udp = held.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        udp.bind(("127.0.0.1", 0))
        unix, abstract = (held.enter_context(socket.socket(socket.AF_UNIX)) for _ in range(2))
        datagram, abstract_datagram = (
            held.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) for _ in range(2)
        )
        folder = tmp_path_factory.mktemp("s")
        unix.bind(str(folder / "u"))
        datagram.bind(str(folder / "d"))
        for path in ("u", "d"):
            (folder / path).chmod(0o777)
        name = f"omnimind-{secrets.token_hex(6)}"
        abstract.bind(f"\0{name}")
        abstract_datagram.bind(f"\0{name}d")
        for listener in (unix, abstract):
            listener.listen(8)
        bystander = held.enter_context(subprocess.Popen(["sleep", "300"]))
        held.callback(bystander.kill)
        done = jailed.run("open('theirs', 'w').write('x')", "bob")
        theirs = next((jailed.state / "python" / "scratch").glob(f"*/run-{done['run']}/theirs"))
        yield {
            "secret": outside / "secret",
            "victim": outside / "victim",
            "outside": outside,
            "state": jailed.state,
            "other": theirs,
            "pid": bystander.pid,
            "user": getpass.getuser(),
            "tcp": tcp.getsockname()[1],
            "udp": udp.getsockname()[1],
            "unix": folder / "u",
            "datagram": folder / "d",
            "abstract": name,
            "abstract_datagram": f"{name}d",
        }


def aimed(attack: Attack, targets: dict[str, Any]) -> str:
    return f"{PRELUDE}\nattempt(lambda: {attack.act.format(**targets)})\n"


@pytest.mark.parametrize("attack", ALL, ids=lambda attack: attack.what)
def test_no_way_out(attack: Attack, jailed: Jailed, targets: dict[str, Any]) -> None:
    found = jailed.run(aimed(attack, targets))
    assert found["stdout"].startswith("refused"), (found["stdout"], found["stderr"], found.get("error"))
    files = ("secret", "victim", "gone")
    assert {(targets["outside"] / name).read_text() for name in files} == {"untouched"}


def test_the_same_attacks_succeed_outside(
    targets: dict[str, Any], tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Each in a forked child of one interpreter; on copies of the files, because now they are changed."""
    outside = tmp_path_factory.mktemp("control")
    for name in ("secret", "victim"):
        (outside / name).write_text("untouched")
    own = {**targets, "outside": outside, "secret": outside / "secret", "victim": outside / "victim"}
    codes = {attack.what: aimed(attack, own) for attack in ALL if attack.control}
    runner = (
        "import json, os, sys\n"
        "for what, code in json.load(sys.stdin).items():\n"
        "    sys.stdout.write(f'{what}: '); sys.stdout.flush()\n"
        "    if os.fork() == 0:\n"
        "        exec(code, {}); sys.stdout.flush(); os._exit(0)\n"
        "    os.wait()\n"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-c", runner],
        input=json.dumps(codes),
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    told = dict(line.split(": ", 1) for line in done.stdout.splitlines())
    assert told == dict.fromkeys(codes, "escaped"), done.stderr


def test_mode_owner_and_times_of_others_stay(jailed: Jailed, targets: dict[str, Any]) -> None:
    victim = targets["victim"]
    before = victim.stat()
    jailed.run(
        f"import os\nfor act in (lambda: os.chmod({str(victim)!r}, 0), lambda: os.utime({str(victim)!r}, (1, 1)),"
        f" lambda: os.chown({str(victim)!r}, 1, 1)):\n    try: act()\n    except OSError: pass"
    )
    after = victim.stat()
    assert (after.st_mode, after.st_uid, after.st_mtime) == (before.st_mode, before.st_uid, before.st_mtime)


def test_the_environment_of_the_host_is_not_there(jailed: Jailed) -> None:
    found = jailed.run(
        "import ctypes, gc, os\n"
        "environ = ctypes.POINTER(ctypes.c_char_p).in_dll(ctypes.CDLL(None), 'environ')\n"
        "texts = list(os.environ.values())\n"
        "at = 0\n"
        "while environ and environ[at]:\n    texts.append(os.fsdecode(environ[at])); at += 1\n"
        "texts += [text for text in gc.get_objects() if isinstance(text, str)]\n"
        "print(sorted(os.environ)); print(any('canary-' + rest in text for text in texts for rest in ['"
        + CANARY.removeprefix("canary-")
        + "']))"
    )
    assert json.loads(found["stdout"].splitlines()[0].replace("'", '"')) == sorted(
        [
            "HOME",
            "LANG",
            "MPLBACKEND",
            "MPLCONFIGDIR",
            "OMP_NUM_THREADS",
            "OPENBLAS_NUM_THREADS",
            "PYTHONUTF8",
            "TMPDIR",
        ]
    )
    assert found["stdout"].splitlines()[1] == "False"


def test_a_job_has_its_own_descriptors_and_no_others(jailed: Jailed) -> None:
    code = (
        "import os\nfound = []\nfor n in range(128):\n"
        "    try: os.fstat(n)\n    except OSError: continue\n    found.append(n)\nfound"
    )
    assert jailed.run(code)["value"] == "[0, 1, 2, 3, 4]"


def test_a_forged_reply_reaches_only_its_own_call(jailed: Jailed) -> None:
    forged = (
        "import msgpack, os, struct\n"
        "reply = msgpack.packb({'value': 'forged', 'error': None, 'figures': [b'x'], 'figures_left_out': 'many'})\n"
        "os.write(4, struct.pack('=I', len(reply)) + reply)\n"
        "os._exit(0)"
    )
    other = jailed.ask(lambda peer: peer.call("open_session"), "bob")["structuredContent"]["session_id"]
    found = jailed.run(forged)
    assert (found["value"], found["figures"]) == ("forged", 0)
    for junk in (b"\xff\xff\xff\xff", b"\x02\0\0\0\xc1\xc1", b"\x05\0\0\0" + b"\x95" * 5, b"\1"):
        assert jailed.run(f"import os\nos.write(4, {junk!r} * 9)\nos._exit(0)")["stdout"] == ""
    assert jailed.run("1 + 1", "bob", session_id=other)["value"] == "2"
    assert jailed.run("2 + 2")["value"] == "4"


def test_a_session_belongs_to_its_principal(jailed: Jailed) -> None:
    own = jailed.ask(lambda peer: peer.call("open_session"))["structuredContent"]["session_id"]
    jailed.run("secret = 'mine'; open('kept', 'w').write(secret)", session_id=own)
    for principal in ("bob", "mallory"):
        for tool, arguments in (
            ("execute", {"code": "secret", "session_id": own}),
            ("close_session", {"session_id": own}),
            ("read_scratch_file", {"path": "kept", "session_id": own}),
        ):
            answer = jailed.ask(
                lambda peer, tool=tool, arguments=arguments: peer.call(tool, arguments), principal
            )
            assert answer["isError"], answer
            assert "you have no session" in answer["content"][0]["text"]
        listed = jailed.ask(lambda peer: peer.call("list_sessions"), principal)
        assert own not in json.dumps(listed)
    assert jailed.run("secret", session_id=own)["value"] == "'mine'"


def test_another_session_cannot_be_read_or_signalled(jailed: Jailed) -> None:
    before = {process.pid for process in jailed.jobs()}
    own = jailed.ask(lambda peer: peer.call("open_session"))["structuredContent"]["session_id"]
    jailed.run("open('kept', 'w').write('x')", session_id=own)
    process = next(process for process in jailed.jobs() if process.pid not in before)
    kept = next((jailed.state / "python" / "scratch").glob("*/session-*/kept"))
    for act in (f"open({str(kept)!r})", f"os.kill({process.pid}, 9)", f"os.listdir({str(kept.parent)!r})"):
        assert jailed.run(f"{PRELUDE}\nattempt(lambda: {act})")["stdout"].startswith("refused")
    assert process.is_running()


def test_a_file_that_is_a_link_is_not_read_for_its_owner(jailed: Jailed, targets: dict[str, Any]) -> None:
    found = jailed.run(
        f"import os\nos.symlink({str(targets['secret'])!r}, 'link')\n"
        f"os.symlink({str(targets['outside'])!r}, 'folder')\n"
        "os.symlink('.', 'loop'); os.mkfifo('fifo'); open('real', 'w').write('x')"
    )
    assert [file["path"] for file in found["files"]] == ["real"]
    for path in (
        "link",
        "folder/secret",
        "fifo",
        "../" + found["run"],
        str(targets["secret"]),
        "loop/fifo",
        "",
    ):
        arguments = {"path": path, "run": found["run"]}
        answer = jailed.ask(lambda peer, arguments=arguments: peer.call("read_scratch_file", arguments))
        assert answer["isError"], (path, answer)
    for run in ("../" + found["run"], "x/../" + found["run"], "."):
        arguments = {"path": "real", "run": run}
        assert jailed.ask(lambda peer, arguments=arguments: peer.call("read_scratch_file", arguments))[
            "isError"
        ]


BOMBS = {
    "memory": ("x = []\nwhile True: x.append(bytearray(1 << 20))", {"memory"}),
    "memory of no object": (
        "import mmap\nx = []\nwhile True: x.append(mmap.mmap(-1, 1 << 24))",
        {"done", "memory"},
    ),
    "one large file": ("f = open('f', 'wb')\nwhile True: f.write(bytes(1 << 20))", {"disk", "done"}),
    "many files": (
        "n = 0\nwhile True:\n    open(f'f{n}', 'wb').write(bytes(1 << 20)); n += 1",
        {"disk"},
    ),
    "files without a name": (
        "import ctypes, os\nlibc = ctypes.CDLL(None)\nlibc.mmap.restype = ctypes.c_void_p\ndata = bytes(1 << 20)\n"
        "while True:\n    f = os.open('f', os.O_RDWR | os.O_CREAT); os.write(f, data)\n"
        "    assert libc.mmap(None, 4096, 1, 1, f, 0) != -1\n    os.unlink('f'); os.close(f)",
        {"disk"},
    ),
    "many empty files": ("import os\nfor n in range(10**9): os.mkdir(str(n))", {"disk"}),
    "threads": (
        "import threading, time\nn = 0\ntry:\n    while n < 5000:\n"
        "        threading.Thread(target=time.sleep, args=(30,), daemon=True).start(); n += 1\n"
        "except RuntimeError: pass\nprint(n)",
        {"done"},
    ),
    "recursion": ("f = lambda: f()\nf()", {"done"}),
    "processor": ("while True: pass", {"timeout"}),
    "no signal heard": (
        "import signal\nfor n in range(1, 65):\n    try: signal.signal(n, signal.SIG_IGN)\n"
        "    except (OSError, ValueError): pass\n"
        "while True: pass",
        {"timeout"},
    ),
    "no answer": ("import os, time\nos.close(4)\ntime.sleep(1000)", {"timeout"}),
    "no pipes": ("import os, time\nos.closerange(0, 5)\ntime.sleep(1000)", {"timeout"}),
    "fork": ("import os\nwhile True: os.fork()", {"done"}),
}


@pytest.mark.roomy
@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_hurts_itself_alone(name: str, jailed: Jailed) -> None:
    code, ends = BOMBS[name]
    before = {process.pid for process in jailed.jobs()}
    started = time.monotonic()
    result = jailed.execute(code, timeout_s=1 if "timeout" in ends else 20)
    found = result["structuredContent"]
    assert found["ended"] in ends, found
    assert found["ok"] is (name == "threads"), found
    if name == "threads":
        assert int(found["stdout"]) < 100
    assert time.monotonic() - started < 30
    wait_until(lambda: {process.pid for process in jailed.jobs()} <= before, 10, "nothing of it still runs")
    assert jailed.run("1 + 1")["value"] == "2"


@pytest.mark.roomy
def test_a_session_that_shuts_its_pipe_is_ended(jailed: Jailed) -> None:
    own = jailed.ask(lambda peer: peer.call("open_session"))["structuredContent"]["session_id"]
    started = time.monotonic()
    found = jailed.run("import os, time\nos.close(4)\ntime.sleep(1000)", session_id=own)
    assert found["ended"] == "killed"
    assert time.monotonic() - started < 20


def test_a_flood_of_output_is_cut(jailed: Jailed) -> None:
    result = jailed.execute("import sys\nfor _ in range(64): sys.stdout.write('x' * (1 << 20))")
    text = result["content"][0]["text"]
    assert 1 << 20 <= len(text) < (1 << 20) + 1000
    assert f"{63 << 20:,} bytes of output" in text


def test_cancelling_ends_the_code_at_once(jailed: Jailed) -> None:
    before = {process.pid for process in jailed.jobs()}

    def new() -> list[psutil.Process]:
        return [process for process in jailed.jobs() if process.pid not in before]

    async def cancel(peer: Peer) -> None:
        peer.send(
            "tools/call", {"name": "execute", "arguments": {"code": "while True: pass", "engine": "jail"}}
        )
        await asyncio.to_thread(wait_until, lambda: bool(new()), 10, "it runs")
        cancelled = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 1}}
        peer.writer.write(json.dumps(cancelled).encode() + b"\n")
        await asyncio.to_thread(wait_until, lambda: not new(), 5, "it is gone")

    jailed.ask(cancel)


def test_nothing_outlives_a_killed_worker(tmp_path: Path) -> None:
    with worker("python", tmp_path, *ARGS) as running:
        jailed = Jailed(running, tmp_path)
        jailed.ask(lambda peer: peer.call("open_session"))
        loop = "import signal\nfor n in (1, 2, 15, 18): signal.signal(n, signal.SIG_IGN)\nwhile True: pass"

        def ask() -> None:
            with contextlib.suppress(ConnectionError):  # it is killed under the call
                jailed.execute(loop)

        asked = threading.Thread(target=ask)
        asked.start()
        wait_until(lambda: len(jailed.jobs()) == 2, 10, "both run")
        jobs = jailed.jobs()
        running.process.kill()
        wait_until(
            lambda: not any(job.is_running() and job.status() != "zombie" for job in jobs), 10, "all are gone"
        )
        asked.join(10)


def test_a_worker_whose_jail_died_ends_to_be_replaced(tmp_path: Path) -> None:
    with worker("python", tmp_path, *ARGS) as running:
        jailed = Jailed(running, tmp_path)
        assert jailed.run("1")["value"] == "1"
        zygote = psutil.Process(running.process.pid).children()[0]
        zygote.kill()
        answer = jailed.ask(lambda peer: peer.call("execute", {"code": "1", "engine": "jail"}))
        assert answer["isError"]
        assert "jail went away" in answer["content"][0]["text"]
        assert running.process.wait(20) == 0


def test_every_attack_has_a_name_of_its_own() -> None:
    names = [attack.what for attack in python_attacks.ALL]
    assert len(names) == len(set(names))
