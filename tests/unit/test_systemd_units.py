"""The text of the units, whose file is whose, and what became of a unit in words: all pure."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from omnimind import catalog, settings
from omnimind.settings import GatewaySettings, ServerSettings
from omnimind.settings.model import ResourceSettings
from omnimind.systemd import install, units
from omnimind.systemd.explain import explain
from omnimind.systemd.units import Choice

THINKING = ServerSettings("thinking", "worker", builtin="thinking", port=4322)
FILES = ServerSettings(
    "files", "worker", builtin="filesystem", port=4400, args=("/srv/a b", "--allow-credentials")
)
CHILD = ServerSettings("other", "stdio", command="npx")
FLEET = settings.Settings(Path("/state"), None, (THINKING, FILES))
CHOICE = Choice(FLEET, (THINKING, FILES), "/venv/bin/python", 252, "full")


def test_every_port_stands_in_the_sockets_and_in_no_template() -> None:
    texts = units.files(CHOICE)
    assert "ListenStream=127.0.0.1:4322\n" in texts["omnimind-mcp@thinking.socket.d/port.conf"]
    assert "ListenStream=127.0.0.1:4320\n" in texts["omnimind-gateway.socket"]
    templates = "".join(file.read_text() for file in units.TEMPLATES.iterdir())
    assert not [builtin.port for builtin in catalog.BUILTINS if str(builtin.port) in templates]


def test_nothing_of_a_template_is_left_open() -> None:
    for name, text in units.files(CHOICE).items():
        assert not re.search(r"@[A-Z]+@", text), name


def test_keys_of_newer_systemd_are_written_only_for_it() -> None:
    old, new = units.files(CHOICE), units.files(replace(CHOICE, version=254))
    assert set(new) - set(old) == {f"{unit}.d/30-since-254.conf" for unit in (units.SERVICE, units.GATEWAY)}
    assert "RestartSteps" not in "".join(old.values())


def test_a_filesystem_server_may_write_to_its_roots_and_no_other_server_may() -> None:
    texts = units.files(CHOICE)
    assert 'ReadWritePaths="-/srv/a b"\n' in texts["omnimind-mcp@files.service.d/server.conf"]
    assert "ReadWritePaths" not in texts["omnimind-mcp@thinking.service.d/server.conf"]


def test_a_root_in_the_machines_temporary_folder_is_not_hidden_from_its_server() -> None:
    server = replace(FILES, args=("/tmp/shared",))
    text = units.files(replace(CHOICE, servers=(server,)))["omnimind-mcp@files.service.d/server.conf"]
    assert "PrivateTmp=no\n" in text


def test_resources_of_an_entry_replace_the_templates() -> None:
    server = replace(
        THINKING, resources=ResourceSettings(memory_mb=64, open_files=9, processes=7, cpu_weight=5)
    )
    text = units.files(replace(CHOICE, servers=(server,)))["omnimind-mcp@thinking.service.d/server.conf"]
    assert {"MemoryMax=64M", "LimitNOFILE=9", "TasksMax=7", "CPUWeight=5"} < set(text.splitlines())


def test_a_gateway_without_a_fixed_port_has_no_socket_unit() -> None:
    texts = units.files(replace(CHOICE, settings=replace(FLEET, gateway=GatewaySettings(port=0))))
    assert not [name for name, text in texts.items() if "omnimind-gateway.socket" in name + text]


def test_a_gateway_with_children_leaves_them_what_they_need() -> None:
    texts = units.files(replace(CHOICE, settings=replace(FLEET, servers=(THINKING, CHILD))))
    gateways = "".join(text for name, text in texts.items() if name.startswith(units.GATEWAY))
    assert "NoNewPrivileges=yes" in gateways
    assert "MemoryDenyWriteExecute" not in gateways


@pytest.mark.parametrize(
    ("word", "line", "argument"),
    [
        ("/a/b", "/a/b", "/a/b"),
        ("/a b", '"/a b"', '"/a b"'),
        ("100%", "100%%", "100%%"),
        ("$x", "$x", "$$x"),
        ('a"b\\', '"a\\"b\\\\"', '"a\\"b\\\\"'),
    ],
)
def test_words_are_quoted_as_systemd_reads_them(word: str, line: str, argument: str) -> None:
    assert units.quoted(word) == line
    assert units.quoted(word, argument=True) == argument


def test_a_file_is_ours_until_somebody_changes_it() -> None:
    text = units.stamp("[Service]\nNice=1\n")
    assert units.author(text) == "ours"
    assert units.author(text + "Nice=2\n") == "changed"
    assert units.author("[Service]\nNice=1\n") == "foreign"


def test_a_masked_unit_and_a_strangers_file_are_not_touched(tmp_path: Path) -> None:
    (tmp_path / units.SERVICE).symlink_to("/dev/null")
    (tmp_path / units.TARGET).write_text("[Unit]\n")
    kept = [
        change for change in install.plan(tmp_path, units.files(CHOICE), force=True) if change.kind == "kept"
    ]
    assert {change.path.name for change in kept} == {units.SERVICE, units.TARGET}
    install.apply(kept)
    assert (tmp_path / units.SERVICE).is_symlink()
    assert (tmp_path / units.TARGET).read_text() == "[Unit]\n"


def test_what_is_written_is_taken_back_whole(tmp_path: Path) -> None:
    wanted = units.files(CHOICE)
    install.apply(install.plan(tmp_path, wanted))
    assert install.installed(tmp_path) == ["files", "thinking"]
    assert install.plan(tmp_path, wanted) == []
    install.apply(install.plan(tmp_path, install.without(tmp_path, ["files"])))
    assert install.installed(tmp_path) == ["thinking"]
    install.apply(install.plan(tmp_path, {}))
    assert not list(tmp_path.iterdir())


FAILED = {"Id": "u", "LoadState": "loaded", "ActiveState": "failed", "NRestarts": "0", "StartLimitBurst": "3"}


@pytest.mark.parametrize(
    ("properties", "why"),
    [
        ({"Result": "exit-code", "ExecMainStatus": "78"}, "the configuration is wrong"),
        ({"Result": "exit-code", "ExecMainStatus": "1"}, "it ended with exit code 1"),
        ({"Result": "exit-code", "ExecMainStatus": "226"}, "could not set up its process"),
        ({"Result": "signal", "ExecMainStatus": "9", "NRestarts": "3"}, "3 starts within"),
        ({"Result": "oom-kill"}, "more memory than MemoryMax"),
        ({"Result": "watchdog"}, "stopped answering"),
        ({"Result": "something-new"}, "result something-new"),
        ({"LoadState": "masked"}, "its unit file is masked"),
    ],
)
def test_what_became_of_a_unit_is_said_with_what_helps(properties: dict[str, str], why: str) -> None:
    found = explain({**FAILED, **properties})
    assert found is not None
    assert why in found.why
    assert found.help


def test_a_unit_that_is_up_or_was_stopped_needs_no_words() -> None:
    assert explain({**FAILED, "ActiveState": "active"}) is None
    assert explain({**FAILED, "ActiveState": "inactive"}, {"Id": "s", "ActiveState": "inactive"}) is None
