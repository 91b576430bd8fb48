"""Commands that speak with a fleet through its control socket and its files."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from fake_fleet import STATUS, FakeFleet

import omnimind
from omnimind import cli, tokens
from omnimind.errors import CODES, Exit

Capture = pytest.CaptureFixture[str]


def test_help_names_every_command_and_every_command_has_help(capsys: Capture) -> None:
    assert cli.main(["--help"]) == cli.main([]) == Exit.OK
    overview = capsys.readouterr().out
    for command in cli.COMMANDS:
        assert f"  {command} " in overview
        with pytest.raises(SystemExit) as ended:
            cli.main([command, "--help"])
        assert ended.value.code == 0
        assert capsys.readouterr().out.startswith(f"usage: omnimind {command}")


@pytest.mark.parametrize(
    ("argv", "help"),
    [
        (["statsu"], "omnimind status"),
        (["zzz"], "omnimind --help"),
        (["--state", "x", "up"], "omnimind --help"),
        (["restart"], "omnimind restart --help"),
        (["up", "--port", "70000"], "omnimind up --help"),
        (["up", "--max-restart-attempts", "-1"], "omnimind up --help"),
        (["token", "add", "x", "--role", "root"], "omnimind token add --help"),
        (["explain", "OM010"], "did you mean OM01"),
    ],
)
def test_a_wrong_command_line_is_usage_with_help(argv: list[str], help: str, capsys: Capture) -> None:
    assert cli.main(argv) == Exit.USAGE
    error = capsys.readouterr().err
    assert error.startswith("error[OM0100]: ")
    assert help in error.splitlines()[-1]


@pytest.mark.parametrize(
    "argv",
    [
        ["status"],
        ["down"],
        ["stop"],
        ["start", "memory"],
        ["reload"],
        ["restart", "memory"],
        ["list"],
        ["call", "x"],
        ["connect-info"],
    ],
)
def test_without_a_fleet_a_command_says_how_to_start_one(
    argv: list[str], state: Path, capsys: Capture
) -> None:
    assert cli.main(argv) == Exit.NO_FLEET
    assert capsys.readouterr().err == (
        f"error[OM0201]: no fleet runs\n  --> state folder {state}\nhelp: start one: omnimind up\n"
    )


def test_status_is_a_table_with_reasons_and_no_raw_control_characters(
    fleet: FakeFleet, capsys: Capture
) -> None:
    assert cli.main(["status"]) == Exit.OK
    out = capsys.readouterr().out
    lines = out.splitlines()
    assert lines[0].split() == ["NAME", "STATE", "TIER", "KIND", "PID", "MEMORY", "CPU", "RESTARTS", "PORT"]
    cells = lines[1].split()
    assert cells[:4] + cells[-2:] == ["memory", "ready", "critical", "worker", "0", "4321"]
    assert int(cells[5]) > 10  # MB: this process stands in for the server
    assert cells[6] == "MB"
    assert "thinking: why: 3 crashes; mend it" in out
    assert "thinking: next start: in 41 s, or when it is called; at once: omnimind start thinking" in out
    assert "ImportError: no\\x1b[31m" in out
    assert "\x1b" not in out
    assert "gateway up, endpoint http://127.0.0.1:4320/mcp, restarts 1" in out


def test_status_as_json_is_what_the_fleet_said_and_the_memory(fleet: FakeFleet, capsys: Capture) -> None:
    assert cli.main(["status", "--json"]) == Exit.OK
    shown = json.loads(capsys.readouterr().out)
    memory = [row.pop("rss_bytes") for row in shown["servers"]]
    cpu_s = [row.pop("cpu_s") for row in shown["servers"]]
    assert shown == {"servers": STATUS["servers"], "gateway": STATUS["gateway"]}
    assert memory[0] > 10_000_000
    assert memory[1] is None
    assert cpu_s[0] > 0
    assert cpu_s[1] is None


def test_restart_knows_aliases_and_suggests_names(fleet: FakeFleet, capsys: Capture) -> None:
    assert cli.main(["restart", "sequential_thinking"]) == Exit.OK
    assert fleet.asked[-1] == {"cmd": "roll", "server": "thinking"}
    assert cli.main(["restart", "gateway"]) == Exit.OK
    assert fleet.asked[-1] == {"cmd": "roll", "server": "gateway"}
    assert cli.main(["restart", "--all"]) == Exit.OK
    assert fleet.asked[-1] == {"cmd": "roll", "server": None}
    assert cli.main(["restart", "thinking", "--now"]) == Exit.OK
    assert fleet.asked[-1] == {"cmd": "restart", "server": "thinking"}
    assert cli.main(["restart", "gateway", "--now"]) == Exit.USAGE
    capsys.readouterr()
    assert cli.main(["restart", "memroy"]) == Exit.FAILURE
    assert (
        capsys.readouterr().err
        == "error[OM0203]: there is no server named memroy\nhelp: did you mean memory?\n"
    )


def test_a_server_that_could_not_be_renewed_is_a_failure_with_its_reason(
    fleet: FakeFleet, capsys: Capture
) -> None:
    answer = {"ok": True, "renewed": ["memory"], "kept": {"thinking": "it did not come up"}}
    fleet.answer = lambda request: answer
    assert cli.main(["restart", "--all"]) == Exit.FAILURE
    said = capsys.readouterr().err
    assert "memory is renewed" in said
    assert "thinking is not: it did not come up; help: omnimind logs thinking" in said


def test_reload_says_what_changed_and_a_mistake_names_its_place(fleet: FakeFleet, capsys: Capture) -> None:
    fleet.answer = lambda request: {"ok": True, "text": "added git", "kept": {}}
    assert cli.main(["reload"]) == Exit.OK
    assert fleet.asked[-1] == {"cmd": "reload"}
    assert capsys.readouterr().err == "reloaded: added git\n"
    mistake = {"code": "OM0104", "what": "the key x is not known", "where": "a.json:3:5", "help": "drop it"}
    fleet.answer = lambda request: {"ok": False, **mistake}
    assert cli.main(["reload"]) == Exit.SETTINGS
    assert capsys.readouterr().err == (
        "error[OM0104]: the key x is not known\n  --> a.json:3:5\nhelp: drop it\n"
    )


def test_one_server_is_stopped_and_started(fleet: FakeFleet, capsys: Capture) -> None:
    assert cli.main(["stop", "memory"]) == Exit.OK
    assert fleet.asked[-1] == {"cmd": "stop", "server": "memory"}
    usual = fleet.answer
    fleet.answer = lambda request: usual(request) | {"state": "parked", "reason": "3 crashes"}
    assert cli.main(["start", "memory"]) == Exit.FAILURE
    assert fleet.asked[-1] == {"cmd": "start", "server": "memory"}
    assert "memory is parked: 3 crashes" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["down", "stop"])
def test_stop_waits_until_the_fleet_is_gone(command: str, fleet: FakeFleet, capsys: Capture) -> None:
    def end(request: dict[str, Any]) -> dict[str, Any]:
        (fleet.state / "lock").unlink()
        return {"ok": True}

    fleet.hold()
    fleet.answer = end
    assert cli.main([command]) == Exit.OK
    assert fleet.asked == [{"cmd": "stop"}]
    assert capsys.readouterr().err == "stopped\n"


def test_stop_says_so_when_the_fleet_goes_on(fleet: FakeFleet, capsys: Capture) -> None:
    fleet.hold()
    assert cli.main(["down", "--timeout", "0"]) == Exit.FAILURE
    assert "still runs" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        ({"ok": False, "error": "busy", "help": "wait"}, "error[OM0204]: busy\nhelp: wait\n"),
        ({"ok": False, "code": "OM0203", "what": "no such server"}, "error[OM0203]: no such server\n"),
        ([], "error[OM0204]: the fleet refused the command\n"),
        (b"\xc1", "error[OM0204]: the fleet did not answer"),
    ],
)
def test_a_refusal_of_the_fleet_is_an_error_with_a_code(
    fleet: FakeFleet, answer: Any, text: str, capsys: Capture
) -> None:
    fleet.answer = lambda _: answer
    assert cli.main(["status"]) == Exit.FAILURE
    assert capsys.readouterr().err.startswith(text)


def test_a_record_of_another_process_or_boot_is_no_fleet(fleet: FakeFleet, capsys: Capture) -> None:
    for changes in ({"start_time": 1}, {"boot_id": "other"}, {"pid": 0}, {"endpoints": 3}):
        fleet.write_record(**changes)
        assert cli.main(["connect-info"]) == Exit.NO_FLEET
    (fleet.state / "run.json").write_text("{")
    assert cli.main(["connect-info"]) == Exit.NO_FLEET


def test_a_token_is_printed_once_and_the_fleet_is_told(fleet: FakeFleet, capsys: Capture) -> None:
    assert (
        cli.main(["token", "add", "ada", "--role", "operator", "--tenant", "lab", "--class", "background"])
        == Exit.OK
    )
    out = capsys.readouterr().out
    token = out.strip()
    assert token.startswith("om_")
    assert fleet.asked == [{"cmd": "reload-tokens"}]
    assert cli.main(["token", "list", "--json"]) == Exit.OK
    out = capsys.readouterr().out
    assert token not in out
    assert json.loads(out)[1] == {"name": "ada", "tenant": "lab", "class": "background", "role": "operator"}
    assert cli.main(["token", "renew", "ada", "--json"]) == Exit.OK
    assert json.loads(capsys.readouterr().out)["token"] != token
    assert cli.main(["token", "remove", "ada"]) == Exit.OK
    assert [request["cmd"] for request in fleet.asked] == ["reload-tokens"] * 3
    assert [principal.name for principal in tokens.principals(fleet.state)] == ["local"]


def test_tokens_change_without_a_fleet_too_and_survive_a_deaf_one(
    state: Path, capsys: Capture, request: pytest.FixtureRequest
) -> None:
    assert cli.main(["token", "add", "ada"]) == Exit.OK
    fake: FakeFleet = request.getfixturevalue("fleet")
    fake.answer = lambda _: {"ok": False, "error": "not now"}
    assert cli.main(["token", "add", "bob"]) == Exit.OK
    assert "warning: the running fleet did not take the change: not now" in capsys.readouterr().err
    assert [principal.name for principal in tokens.principals(state)] == ["local", "ada", "bob"]


def test_connect_info_shows_the_token_only_when_asked(fleet: FakeFleet, capsys: Capture) -> None:
    token = tokens.local_token(fleet.state)
    assert cli.main(["connect-info"]) == Exit.OK
    out = capsys.readouterr().out
    assert token not in out
    assert str(fleet.state / "token") in out
    assert "${OMNIMIND_TOKEN}" in out
    assert cli.main(["connect-info", "--show-token", "--json"]) == Exit.OK
    entry = json.loads(capsys.readouterr().out)["entry"]["mcpServers"]["omnimind"]
    assert entry == {"type": "http", "url": fleet.endpoint, "headers": {"Authorization": f"Bearer {token}"}}


def test_connect_info_of_an_open_fleet_has_no_token(fleet: FakeFleet, capsys: Capture) -> None:
    fleet.write_record(token_file=None)
    assert cli.main(["connect-info", "--json"]) == Exit.OK
    assert "headers" not in json.loads(capsys.readouterr().out)["entry"]["mcpServers"]["omnimind"]


def test_a_fleet_that_is_still_starting_is_not_called_absent(fleet: FakeFleet, capsys: Capture) -> None:
    fleet.hold()
    (fleet.state / "run.json").unlink()
    assert cli.main(["list"]) == Exit.FAILURE
    assert "still starting" in capsys.readouterr().err


def write_log(state: Path, *lines: str) -> Path:
    (state / "logs").mkdir(exist_ok=True)
    path = state / "logs" / "memory.log"
    with path.open("a") as file:
        for line in lines:
            record = {
                "time": "2026-11-21T10:11:12.345+00:00",
                "server": "memory",
                "pid": os.getpid(),
                "line": line,
            }
            file.write(json.dumps(record) + "\n")
    return path


def test_config_check_says_ok_or_what_is_wrong_by_exit_code(
    tmp_path: Path, state: Path, capsys: Capture
) -> None:
    good, bad = tmp_path / "good.json", tmp_path / "bad.json"
    good.write_text('{"mcpServers": {"memory": {"alwaysAllow": []}}}')
    bad.write_text('{"mcpServers": {"memory": {"prot": 1}}}')
    assert cli.main(["config", "check", str(good)]) == Exit.OK
    said = capsys.readouterr()
    assert said.out.splitlines()[1].split() == ["memory", "worker", "critical", "4321", "yes"]
    assert "note: memory: keys for other clients, ignored: alwaysAllow" in said.err
    assert cli.main(["config", "check", str(good), "--json"]) == Exit.OK
    assert json.loads(capsys.readouterr().out)["servers"][0]["name"] == "memory"
    assert cli.main(["config", "check", str(bad)]) == Exit.SETTINGS
    error = capsys.readouterr().err
    assert f"--> {bad}:1:28" in error
    assert 'help: did you mean "port"?' in error


def test_config_prints_the_shipped_schema_and_the_path(state: Path, tmp_path: Path, capsys: Capture) -> None:
    assert cli.main(["config", "schema"]) == Exit.OK
    assert json.loads(capsys.readouterr().out)["title"] == "mcp_servers.json"
    assert cli.main(["config", "path"]) == Exit.OK
    assert capsys.readouterr().out == f"{tmp_path}/xdg/omnimind/mcp_servers.json\n"


def test_explain_and_version(capsys: Capture) -> None:
    assert cli.main(["explain", "om0107"]) == Exit.OK
    assert capsys.readouterr().out == f"OM0107: {CODES['OM0107']}\n"
    assert cli.main(["explain"]) == Exit.OK
    assert len(capsys.readouterr().out.splitlines()) == len(CODES)
    assert cli.main(["--version"]) == cli.main(["version"]) == Exit.OK
    assert capsys.readouterr().out.startswith("omnimind ")


def test_what_nobody_foresaw_is_one_line_and_no_traceback(
    state: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    def fall(*_: object, **__: object) -> None:
        raise RuntimeError("boom")

    monkeypatch.setattr("omnimind.settings.load", fall)
    monkeypatch.delenv("OMNIMIND_DEBUG", raising=False)
    assert cli.main(["config", "check"]) == Exit.FAILURE
    error = capsys.readouterr().err
    assert error.startswith("error[OM0500]: something unexpected happened: RuntimeError: boom\nhelp: ")
    assert "Traceback" not in error
    monkeypatch.setenv("OMNIMIND_DEBUG", "1")
    with pytest.raises(RuntimeError):
        cli.main(["config", "check"])


PACKAGE_ROOT = str(Path(omnimind.__file__).resolve().parents[1])


def test_a_reader_that_goes_away_is_no_error(state: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [sys.executable, "-m", "omnimind", "config", "schema"],
        env={**os.environ, "PYTHONPATH": PACKAGE_ROOT},
        stdout=writer,
        stderr=subprocess.PIPE,
        text=True,
    )
    os.close(writer)
    assert (done.returncode, done.stderr) == (Exit.FAILURE, "")


def test_what_a_terminal_cannot_show_is_escaped(state: Path) -> None:
    write_log(state, "half \ud800 and whole é")
    done = subprocess.run(
        [sys.executable, "-m", "omnimind", "logs", "memory"],
        env={**os.environ, "PYTHONPATH": PACKAGE_ROOT, "PYTHONIOENCODING": "ascii"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.endswith("half \\xd800 and whole \\xe9\n")
