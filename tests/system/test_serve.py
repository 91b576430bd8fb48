"""`omnimind serve` as a systemd unit runs it: real processes, a launcher in systemd's place."""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import pty
import signal
import socket
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import anyio
import pytest
from mcp import Client, StdioServerParameters
from service_manager import Endpoint, Manager
from worker_process import Peer

from omnimind import tokens
from omnimind.errors import Exit
from omnimind.systemd import rendezvous
from tests.fleet import wait_until

THOUGHT = {"thought": "t", "nextThoughtNeeded": False, "thoughtNumber": 1, "totalThoughts": 1}


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Manager]:
    with Manager(tmp_path) as manager:
        yield manager


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Manager]:
    """A thinking server for the tests that leave it as it was."""
    with Manager(tmp_path_factory.mktemp("served")) as manager:
        manager.start("serve", "thinking", "--port", "0")
        manager.ready()
        yield manager


def lines(log: str) -> list[dict[str, object]]:
    """The entries of a log for the journal, each with the priority that the journal takes off."""
    found = []
    for line in log.splitlines():
        assert line[0] == "<"
        assert line[2] == ">"
        found.append({"priority": int(line[1]), **json.loads(line[3:])})
    return found


def test_both_eras_work_on_the_port_with_the_token_and_only_with_it(served: Manager) -> None:
    endpoint = served.ready()
    assert endpoint.post("tools/list")[0] == 401
    endpoint.token = tokens.local_token(served.state)
    modern = endpoint.call("sequentialthinking", **THOUGHT)
    assert modern["structuredContent"]["thoughtHistoryLength"] == 1
    endpoint.initialize()
    legacy = endpoint.call(
        "thinking_history", legacy=True, session_id=modern["structuredContent"]["sessionId"]
    )
    assert legacy["structuredContent"]["history"]
    assert endpoint.post("tools/list", Host="evil.example")[0] == 421
    assert endpoint.post("tools/list", Origin="http://evil.example")[0] == 403


def test_the_worker_socket_opens_with_the_key_of_the_unit_and_with_no_other(served: Manager) -> None:
    path, key = served.runtime / "omnimind/thinking.sock", served.state / "units/thinking.key"
    assert path.stat().st_mode & 0o777 == 0o600
    assert key.stat().st_mode & 0o777 == 0o600

    async def knock(opening: bytes) -> bytes:
        reader, writer = await asyncio.open_unix_connection(path)
        # Longer than a key and its end, so that it is not waited for more of one.
        writer.write(opening + b"\n" + b'{"jsonrpc":"2.0","id":"%s","method":"ping"}\n' % (b"x" * 64))
        try:
            return await asyncio.wait_for(reader.read(1), 10)
        except ConnectionError:
            return b""
        finally:
            writer.close()

    async def talk() -> None:
        assert await knock(b"0" * 64) == b""
        assert await knock(b"") == b""
        reader, writer = await asyncio.open_unix_connection(path)
        writer.write(key.read_bytes().strip() + b"\n")
        peer = Peer(reader, writer, "ann")
        assert (await peer.call("sequentialthinking", THOUGHT))["structuredContent"]["sessionId"]
        await peer.close()

    asyncio.run(talk())


def test_ready_is_said_when_it_answers_and_stopping_before_it_ends(manager: Manager) -> None:
    service = manager.start("serve", "thinking", "--port", "0", "--no-auth")
    endpoint = manager.ready()
    assert endpoint.post("tools/list")[0] == 200  # at once, without another try
    assert manager.said("STOPPING") == []
    service.terminate()
    assert service.wait(20) == 0
    assert manager.said("STOPPING") == ["1"]
    assert not (manager.runtime / "omnimind/thinking.sock").exists()


@pytest.mark.parametrize("names", [None, "unit.socket:unit.socket"])
def test_passed_sockets_are_served_and_a_restart_refuses_nobody(manager: Manager, names: str | None) -> None:
    port = manager.listen("http").getsockname()[1]
    manager.listen("worker", "unix")
    endpoint = Endpoint(port)
    first = manager.start("serve", "thinking", "--no-auth", names=names)
    assert manager.ready().port == port
    endpoint.initialize()
    refused: list[OSError] = []
    answered = 0
    over = threading.Event()

    def knock() -> None:
        nonlocal answered
        while not over.is_set():
            try:
                socket.create_connection(("127.0.0.1", port), 10).close()
                answered += 1
            except OSError as fault:
                refused.append(fault)
            time.sleep(0.02)

    knocking = threading.Thread(target=knock)
    knocking.start()
    try:
        first.terminate()
        assert first.wait(20) == 0
        assert (manager.runtime / "omnimind/thinking.sock").exists()
        manager.start("serve", "thinking", "--no-auth", names=names)
        # Waits in the backlog until the new one is up; the session is one that the old one opened.
        assert endpoint.call("sequentialthinking", legacy=True, **THOUGHT)["structuredContent"]
    finally:
        over.set()
        knocking.join()
    assert refused == []
    assert answered > 20


def test_after_kill_9_it_starts_again_in_the_same_place(manager: Manager) -> None:
    first = manager.start("serve", "thinking", "--port", "0", "--no-auth")
    made = manager.ready().call("sequentialthinking", **THOUGHT)["structuredContent"]["sessionId"]
    first.kill()
    first.wait()
    assert (manager.runtime / "omnimind/thinking.sock").exists()
    manager.start("serve", "thinking", "--port", "0", "--no-auth")
    found = manager.ready(2).call("thinking_history", session_id=made)
    assert found["structuredContent"]["history"]


def test_a_port_that_is_held_is_named_with_its_holder_who_is_left_alone(manager: Manager) -> None:
    with socket.create_server(("127.0.0.1", 0)) as stranger:
        port = stranger.getsockname()[1]
        service = manager.start("serve", "thinking", "--port", str(port))
        assert service.wait(20) == Exit.FAILURE
        socket.create_connection(("127.0.0.1", port), 1).close()
    assert f"error[OM0107]: port {port} is held by" in manager.log()
    assert f"(pid {os.getpid()})" in manager.log()
    assert "help: " in manager.log()


def test_a_second_one_from_the_same_state_folder_says_who_serves(served: Manager) -> None:
    first = rendezvous.holder(served.state, "thinking")
    assert served.start("serve", "thinking", "--port", "0").wait(20) == Exit.FAILURE
    said = f"error[OM0202]: thinking is served from this state folder already (pid {first})"
    assert said in served.log()


@pytest.mark.parametrize(
    ("document", "name", "code"),
    [
        ("{}", "thinkng", "OM0108"),
        ('{"mcpServers": {"thinking": {"command": "x"}}}', "thinking", "OM0109"),
        ('{"mcpServers": {"thinking": {"args": ["--what"]}}}', "thinking", "OM0105"),
        ('{"mcpServers": {', "thinking", "OM0102"),
    ],
)
def test_what_another_try_cannot_mend_ends_with_78(
    manager: Manager, document: str, name: str, code: str
) -> None:
    config = manager.folder / "mcp_servers.json"
    config.write_text(document)
    service = manager.start("serve", name, "--port", "0", "--config", str(config))
    assert service.wait(20) == Exit.CONFIG
    assert f"error[{code}]" in manager.log()
    assert "help: " in manager.log()
    assert manager.said("READY") == []


def test_a_state_folder_open_to_others_ends_with_78(manager: Manager) -> None:
    manager.state.mkdir()
    manager.state.chmod(0o777)
    assert manager.start("serve", "thinking", "--port", "0").wait(20) == Exit.CONFIG
    assert "error[OM0205]" in manager.log()


def test_a_passed_socket_that_is_not_loopback_is_refused(manager: Manager) -> None:
    manager.sockets["http"] = socket.create_server(("0.0.0.0", 0))
    assert manager.start("serve", "thinking").wait(20) == Exit.CONFIG
    assert "loopback" in manager.log()


def test_an_entry_of_the_configuration_says_the_rest(manager: Manager) -> None:
    folder = manager.folder / "served"
    folder.mkdir()
    (folder / "a.txt").write_text("hello")
    config = manager.folder / "mcp_servers.json"
    entry = {"builtin": "filesystem", "args": [str(folder)], "port": 0, "enabled": False}
    config.write_text(json.dumps({"mcpServers": {"notes": entry}}))
    manager.start("serve", "notes", "--no-auth", "--config", str(config))
    read = manager.ready().call("read_text_file", path=str(folder / "a.txt"))
    assert read["content"][0]["text"] == "hello"
    assert (manager.runtime / "omnimind/notes.sock").exists()


def test_a_token_works_while_it_is_known_and_not_longer(served: Manager) -> None:
    endpoint = served.ready()
    endpoint.token = tokens.add(served.state, "ann")
    wait_until(lambda: endpoint.post("tools/list")[0] == 200, 10, "a new token works")
    tokens.remove(served.state, "ann")
    wait_until(lambda: endpoint.post("tools/list")[0] == 401, 10, "a removed token does not")


def test_lines_are_json_for_the_journal_and_faults_too(manager: Manager) -> None:
    service = manager.start("serve", "thinking", "--port", "0", journal=True)
    manager.ready()
    service.terminate()
    service.wait(20)
    said = lines(manager.log())
    assert [entry["line"] for entry in said][-2:] == ["stopping", "stopped"]
    assert {entry["server"] for entry in said} == {"thinking"}
    assert {entry["pid"] for entry in said} == {service.pid}
    assert {(entry["level"], entry["priority"]) for entry in said} == {("info", 6)}
    assert manager.start("serve", "thinkng", "--port", "0", journal=True).wait(20) == Exit.CONFIG
    (fault,) = lines(manager.log())
    assert (fault["level"], fault["priority"]) == ("error", 3)
    assert "help: did you mean thinking?" in str(fault["line"])


# --- anyone's server, whose tools can be made to behave badly

TINY = """
import asyncio, sys, threading, time
from contextlib import asynccontextmanager
from pathlib import Path
import omnimind
from mcp.server import MCPServer

entered = 0

@asynccontextmanager
async def lifespan(_):
    global entered
    entered += 1
    yield {"number": entered}

server = MCPServer("tiny one", lifespan=lifespan)

@server.tool()
async def echo(text: str) -> str:
    return f"{text} {entered}"

@server.tool()
async def wait_for(file: str) -> str:
    Path(file + ".asked").touch()
    while not Path(file).exists():
        await asyncio.sleep(0.01)
    return "there"

@server.tool()
async def block_the_loop(seconds: float) -> str:
    time.sleep(seconds)
    return "done"

omnimind.serve(server, port=0, auth=False)
print("returned")
"""


def start_tiny(manager: Manager, watchdog_s: float = 0.0) -> subprocess.Popen[bytes]:
    (manager.folder / "tiny_server.py").write_text(TINY)
    path = os.pathsep.join([str(manager.folder), os.environ.get("PYTHONPATH", ""), *sys.path])
    return manager.start(module="tiny_server", watchdog_s=watchdog_s, environment={"PYTHONPATH": path})


def test_anyones_server_is_served_in_both_eras_with_one_lifespan(manager: Manager) -> None:
    service = start_tiny(manager)
    endpoint = manager.ready()
    assert endpoint.call("echo", text="hi")["content"][0]["text"] == "hi 1"
    endpoint.initialize()
    assert endpoint.call("echo", legacy=True, text="hi")["content"][0]["text"] == "hi 1"
    assert list((manager.state / "units").glob("tiny_one.1.*"))
    service.send_signal(signal.SIGINT)
    assert service.wait(20) == 0
    assert manager.log().splitlines()[-1] == "returned"


LOW = """
import omnimind
from mcp import types
from mcp.server.lowlevel import Server

async def list_tools(context, params):
    return types.ListToolsResult(tools=[types.Tool(name="shout", input_schema={"type": "object"})])

async def call_tool(context, params):
    return types.CallToolResult(content=[types.TextContent(type="text", text=params.arguments["text"].upper())])

omnimind.serve(Server("low", on_list_tools=list_tools, on_call_tool=call_tool), port=0, auth=False, name="low one!")
"""


def test_a_lowlevel_server_will_do_and_may_be_named(manager: Manager) -> None:
    (manager.folder / "low_server.py").write_text(LOW)
    path = os.pathsep.join([str(manager.folder), *sys.path])
    manager.start(module="low_server", environment={"PYTHONPATH": path})
    assert manager.ready().call("shout", text="hi")["content"][0]["text"] == "HI"
    assert manager.said("STATUS")[-1].startswith("low_one at ")


def test_sigterm_lets_a_call_that_is_under_way_finish(manager: Manager) -> None:
    service = start_tiny(manager)
    endpoint = manager.ready()
    file = manager.folder / "awaited"
    answers: list[object] = []
    caller = threading.Thread(target=lambda: answers.append(endpoint.call("wait_for", file=str(file))))
    caller.start()
    wait_until(lambda: Path(f"{file}.asked").exists(), 10, "the call is under way")
    service.terminate()
    manager.heard("STOPPING")
    with pytest.raises(OSError):
        Endpoint(endpoint.port).call("echo", text="too late")
    assert service.poll() is None
    file.touch()
    caller.join()
    assert answers[0]["content"][0]["text"] == "there"  # type: ignore[index]
    assert service.wait(20) == 0


def test_the_watchdog_is_fed_and_a_blocked_loop_stops_feeding_it(manager: Manager) -> None:
    service = start_tiny(manager, watchdog_s=0.3)
    endpoint = manager.ready()
    manager.heard("WATCHDOG", times=5)
    blocking = threading.Thread(target=endpoint.call, args=("block_the_loop",), kwargs={"seconds": 1.5})
    blocking.start()
    wait_until(lambda: fed_within(manager, 0.45) == 0, 10, "nothing feeds the watchdog")
    blocking.join()
    fed = len(manager.said("WATCHDOG"))
    manager.heard("WATCHDOG", times=fed + 3)
    service.terminate()
    assert service.wait(20) == 0


def fed_within(manager: Manager, span_s: float) -> int:
    before = len(manager.said("WATCHDOG"))
    end = time.monotonic() + span_s
    while time.monotonic() < end and len(manager.said("WATCHDOG")) == before:
        time.sleep(0.02)
    return len(manager.said("WATCHDOG")) - before


def test_sigabrt_of_the_watchdog_leaves_the_stacks_in_the_log(manager: Manager) -> None:
    service = start_tiny(manager)
    manager.ready()
    service.send_signal(signal.SIGABRT)
    assert service.wait(20) == -signal.SIGABRT
    assert "most recent call first" in manager.log()


def test_two_of_one_name_and_one_that_was_killed_have_places_of_their_own(manager: Manager) -> None:
    first = start_tiny(manager)
    one = manager.ready(1)
    start_tiny(manager)
    two = manager.ready(2)
    assert one.port != two.port
    assert two.call("echo", text="two")["content"][0]["text"] == "two 1"
    first.kill()
    first.wait()
    start_tiny(manager)
    manager.ready(3)
    assert {path.name for path in (manager.state / "units").glob("*.sock")} == {
        "tiny_one.1.sock",
        "tiny_one.2.sock",
    }


def at_this_terminal() -> None:
    """In the child: its standard input is its terminal, whose end ends it, also if these tests were begun by nohup."""
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


def test_sighup_of_a_manager_reloads_and_of_a_closed_terminal_ends(manager: Manager) -> None:
    service = manager.start("serve", "thinking", "--port", "0", "--no-auth")
    endpoint = manager.ready()
    service.send_signal(signal.SIGHUP)
    wait_until(lambda: "tokens read again" in manager.log(), 10, "it has reloaded")
    assert endpoint.post("tools/list")[0] == 200
    keyboard, terminal = pty.openpty()
    at_terminal = subprocess.Popen(
        [sys.executable, "-m", "omnimind", "serve", "memory", "--port", "0", "--state", str(manager.state)],
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        env={**os.environ, "XDG_RUNTIME_DIR": str(manager.runtime)},
        start_new_session=True,
        preexec_fn=at_this_terminal,
    )
    os.close(terminal)
    said = b""
    while b"serving memory" not in said:
        said += os.read(keyboard, 4096)
    os.close(keyboard)
    assert at_terminal.wait(20) == 0


# --- on the standard streams


async def asked(command: list[str], tool: str, mode: str, **arguments: object) -> str:
    parameters = StdioServerParameters(command=command[0], args=command[1:])
    async with Client(parameters, mode=mode) as client:
        result = await client.call_tool(tool, dict(arguments))
    return str(result.content[0].text)


@pytest.mark.parametrize("mode", ["2026-07-28", "legacy"])
def test_a_server_alone_on_stdio_serves_the_folder_it_is_given_and_no_other(
    tmp_path: Path, mode: str
) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "note.txt").write_text("hello")
    command = [sys.executable, "-m", "omnimind", "serve", "filesystem", "--stdio"]
    command += ["--state", str(tmp_path / "state"), "--", str(folder)]
    assert "hello" in anyio.run(lambda: asked(command, "read_text_file", mode, path=str(folder / "note.txt")))
    outside = anyio.run(lambda: asked(command, "read_text_file", mode, path="/etc/hostname"))
    assert "outside" in outside


def test_a_server_on_stdio_is_fenced_in_and_ends_with_its_client(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "omnimind", "serve", "thinking", "--stdio", "--state", str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as service:
        assert service.stdin is not None
        assert service.stdout is not None
        meta = {
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientCapabilities": {},
        }
        ask = {"jsonrpc": "2.0", "id": 1, "method": "server/discover", "params": {"_meta": meta}}
        print(json.dumps(ask), file=service.stdin, flush=True)
        assert json.loads(service.stdout.readline())["result"]
        lines = Path(f"/proc/{service.pid}/status").read_text().splitlines()
        status = dict(line.split(":\t", 1) for line in lines if ":\t" in line)
        assert status["NoNewPrivs"] == "1"
        assert status["Seccomp"] == "2"
        service.stdin.close()
        assert service.wait(20) == 0


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["thinking", "--port", "0"], "--stdio has no port"),
        (["thinkign"], "did you mean thinking?"),
        (["thinking", "--", "surplus"], "thinking cannot start"),
    ],
)
def test_what_cannot_be_served_on_stdio_is_said_on_stderr_alone(
    tmp_path: Path, words: list[str], says: str
) -> None:
    command = [sys.executable, "-m", "omnimind", "serve", "--stdio", "--state", str(tmp_path), *words]
    done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=60)
    assert done.returncode != 0
    assert done.stdout == ""
    assert says in done.stderr
