"""What a settings file means, as tables: files of real shape in, servers and notes out."""

from __future__ import annotations

import contextlib
import json
import os
import re
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from hypothesis import given
from hypothesis import strategies as st

from omnimind import catalog, settings
from omnimind.errors import SettingsError
from omnimind.orchestrator.snapshot import snapshot
from omnimind.settings import (
    CacheSettings,
    ClientCompressSettings,
    GatewayCompressSettings,
    LimitsSettings,
    PoolSettings,
    PressSettings,
    QuotaSettings,
    ServerCacheSettings,
    ServerCompressSettings,
    ServerLimitsSettings,
    ServerSettings,
    Settings,
    ToolCacheSettings,
    ToolCompressSettings,
    ToolLimitsSettings,
    fields,
)

ENVIRONMENT = {"HOME": "/home/ada", "GITHUB_TOKEN": "ghp_1", "EMPTY": ""}


@pytest.fixture(autouse=True)
def own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "xdg"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "xdg-state"))
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")


def load(tmp_path: Path, value: Any, **flags: Any) -> Settings:
    path = tmp_path / "mcp_servers.json"
    path.write_text(value if isinstance(value, str) else json.dumps(value))
    return settings.load(path, tmp_path / "state", environ=ENVIRONMENT, **flags)


def only(found: Settings) -> ServerSettings:
    (server,) = found.servers
    return server


CLAUDE_DESKTOP = {
    "globalShortcut": "Ctrl+Space",
    "preferences": {"menuBarEnabled": False},
    "mcpServers": {
        "filesystem": {
            "command": "npx",
            "args": ["-y", "@modelcontextprotocol/server-filesystem", "/home/ada/Desktop"],
        },
        "github": {"command": "docker", "args": ["run", "-i"], "env": {"GITHUB_TOKEN": "<YOUR_TOKEN>"}},
    },
}
CLAUDE_CODE = {
    "mcpServers": {
        "db": {
            "type": "stdio",
            "command": "${HOME}/bin/db",
            "args": ["--dsn", "${DSN:-postgres://x}"],
            "env": {},
        },
        "api": {
            "type": "http",
            "url": "https://api.example.com/mcp",
            "headers": {"Authorization": "Bearer ${GITHUB_TOKEN}"},
            "oauth": {"clientId": "x"},
        },
    }
}
CURSOR = """{
  // servers of this machine
  "mcpServers": {
    "local": {"type": "stdio", "command": "uvx", "args": ["git"], "env": {"KEY": "${env:GITHUB_TOKEN}"}},
    /* behind a login */
    "remote": {
      "url": "http://localhost:3000/mcp",
      "headers": {"X-Key": "${env:GITHUB_TOKEN}"},
      "auth": {"CLIENT_ID": "a"}
    }
  }
}"""
CLINE = {
    "mcpServers": {
        "notes": {
            "command": "node",
            "args": ["server.js"],
            "disabled": True,
            "alwaysAllow": ["read"],
            "autoApprove": [],
            "timeout": 30,
        },
    }
}
VS_CODE = {
    "inputs": [{"type": "promptString", "id": "key", "description": "a key", "password": True}],
    "servers": {
        "fetch": {"type": "stdio", "command": "uvx", "args": ["mcp-server-fetch"], "dev": {"watch": "*"}}
    },
}
GEMINI = {
    "mcpServers": {
        "g": {"httpUrl": "https://g.example/mcp", "timeout": 5000, "trust": False, "includeTools": ["a"]},
        "w": {"serverUrl": "https://w.example/mcp"},
    }
}


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("Claude Desktop", CLAUDE_DESKTOP, [("filesystem", "stdio", True), ("github", "stdio", True)]),
        ("Claude Code", CLAUDE_CODE, [("db", "stdio", True), ("api", "http", True)]),
        ("Cursor", CURSOR, [("local", "stdio", True), ("remote", "http", True)]),
        ("Cline", CLINE, [("notes", "stdio", False)]),
        ("VS Code", VS_CODE, [("fetch", "stdio", True)]),
        ("Gemini CLI", GEMINI, [("g", "http", True), ("w", "http", True)]),
    ],
)
def test_a_clients_file_works_unchanged(tmp_path: Path, name: str, value: Any, expected: list[Any]) -> None:
    found = load(tmp_path, value)
    assert [(server.name, server.kind, server.enabled) for server in found.servers] == expected, name


def test_claude_code_references_are_expanded(tmp_path: Path) -> None:
    db, api = load(tmp_path, CLAUDE_CODE).servers
    assert (db.command, db.args) == ("/home/ada/bin/db", ("--dsn", "postgres://x"))
    assert dict(api.headers) == {"Authorization": "Bearer ghp_1"}


def test_what_is_ignored_is_said(tmp_path: Path) -> None:
    assert load(tmp_path, CLINE).notes == (
        "notes: keys for other clients, ignored: alwaysAllow, autoApprove, timeout",
    )
    assert "preferences" in load(tmp_path, CLAUDE_DESKTOP).notes[0]


def test_an_entry_with_a_command_is_a_third_partys_whatever_its_name(tmp_path: Path) -> None:
    server = load(tmp_path, CLAUDE_DESKTOP).servers[0]
    assert (server.name, server.builtin, server.port, server.trust) == ("filesystem", None, None, ())
    assert not server.first_party
    assert server.sessions == "principal"


def test_without_a_file_the_available_servers_of_the_catalogue_run(tmp_path: Path) -> None:
    found = settings.load(None, tmp_path / "state")
    assert found.config_path is None
    assert [(s.name, s.port, s.tier) for s in found.servers] == [
        (b.name, b.port, b.tier) for b in catalog.BUILTINS
    ]
    assert all(s.first_party and s.sessions == "shared" and s.trust for s in found.servers)


def test_a_file_in_the_users_folder_is_taken_and_one_in_the_working_directory_only_hinted_at(
    tmp_path: Path,
) -> None:
    Path("mcp_servers.json").write_text('{"mcpServers": {"evil": {"command": "sh"}}}')
    found = settings.load(None, tmp_path / "state")
    assert "evil" not in [server.name for server in found.servers]
    assert "--config mcp_servers.json" in found.notes[-1]
    own = tmp_path / "xdg" / "omnimind" / "mcp_servers.json"
    own.parent.mkdir(parents=True)
    own.write_text('{"mcpServers": {"memory": {}}}')
    assert [server.name for server in settings.load(None, tmp_path / "state").servers] == ["memory"]
    assert settings.config_path() == own


@pytest.mark.parametrize(
    ("value", "names"),
    [
        ({"mcpServers": {}}, []),
        ({"mcpServers": {"memory": {}}}, ["memory"]),
        ({"gateway": {"port": 0}}, [builtin.name for builtin in catalog.BUILTINS]),
        ({}, [builtin.name for builtin in catalog.BUILTINS]),
    ],
)
def test_a_file_runs_exactly_its_entries(tmp_path: Path, value: Any, names: list[str]) -> None:
    assert [server.name for server in load(tmp_path, value).servers] == names


def test_sequential_thinking_is_thinking_as_a_name_and_as_a_builtin(tmp_path: Path) -> None:
    found = load(tmp_path, {"mcpServers": {"sequential_thinking": {}}})
    assert (only(found).name, only(found).builtin, only(found).port) == ("thinking", "thinking", 4322)
    assert found.server("sequential_thinking") is found.server("thinking")
    other = only(load(tmp_path, {"mcpServers": {"mind": {"builtin": "sequential_thinking"}}}))
    assert (other.name, other.builtin, other.port) == ("mind", "thinking", None)


@pytest.mark.parametrize(
    ("title", "name"),
    [
        ("GitHub MCP", "GitHub-MCP"),
        ("io.github.x/y", "io-github-x-y"),
        ("../../etc", "etc"),
        ("naïve", "na-ve"),
    ],
)
def test_a_name_becomes_safe_in_paths_and_urls(tmp_path: Path, title: str, name: str) -> None:
    server = only(load(tmp_path, {"mcpServers": {title: {"command": "x"}}}))
    assert (server.name, server.title) == (name, title)


def test_every_key_of_an_entry_reaches_the_settings(tmp_path: Path) -> None:
    entry = {
        "command": "server",
        "args": ["-v", ""],
        "env": {"A": "1", "N": 3},
        "cwd": "sub",
        "tier": "high",
        "port": 0,
        "enabled": True,
        "restart": {"max_attempts": 5},
        "sessions": "own",
        "trust": ["annotations"],
        "after": ["sequential_thinking"],
        "user": "nobody",
        "timeout_ms": 1000,
        "deadline_ms": 2000,
        "limits": {"policy": "aimd", "max": 8},
        "cache": False,
        "compress": {"share": 0.1},
    }
    found = load(
        tmp_path, {"mcpServers": {"x": entry, "thinking": {}}, "orchestrator": {"restart": {"window_s": 9}}}
    )
    server = found.server("x")
    assert server is not None
    assert (server.args, dict(server.env)) == (("-v", ""), {"A": "1", "N": "3"})
    assert server.cwd == str(tmp_path / "sub")
    assert (server.tier, server.port, server.sessions, server.trust) == ("high", 0, "own", ("annotations",))
    assert (server.restart.max_attempts, server.restart.window_s) == (5, 9)
    assert (server.after, server.user) == (("thinking",), "nobody")
    assert (server.timeout_ms, server.deadline_ms) == (1000, 2000)
    assert (server.limits.policy, server.limits.max, server.cache.enabled) == ("aimd", 8, False)
    assert server.compress == ServerCompressSettings(PressSettings(share=0.1))


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        (False, ServerCompressSettings()),
        (True, ServerCompressSettings(PressSettings())),
        ({}, ServerCompressSettings(PressSettings())),
        (3_000, ServerCompressSettings(PressSettings(budget_tokens=3_000))),
        (
            {"tools": {"read": 500, "edit": False}},
            ServerCompressSettings(
                None,
                (
                    ToolCompressSettings("read", PressSettings(budget_tokens=500)),
                    ToolCompressSettings("edit", None),
                ),
            ),
        ),
        (
            {"from_tokens": 9, "tools": {"read": True}},
            ServerCompressSettings(
                PressSettings(from_tokens=9), (ToolCompressSettings("read", PressSettings()),)
            ),
        ),
        ({"tool_list": "search"}, ServerCompressSettings(None, tool_list="search")),
        (
            {"tool_list": "pruned", "share": 0.5},
            ServerCompressSettings(PressSettings(share=0.5), tool_list="pruned"),
        ),
    ],
)
def test_results_are_told_shorter_as_the_file_says(
    tmp_path: Path, said: object, meant: ServerCompressSettings
) -> None:
    assert only(load(tmp_path, {"mcpServers": {"x": {"command": "x", "compress": said}}})).compress == meant


@pytest.mark.parametrize(
    ("said", "complaint"),
    [
        ("yes", "must be an object"),
        ({"ratio": 0.2}, "not known in mcpServers.x.compress"),
        ({"share": 0}, "from 0.01 to 1"),
        (3, "from 50 to"),
        ({"tools": {"read": "all"}}, "tools.read"),
        ({"tool_list": True}, "must be one of"),
    ],
)
def test_what_compress_cannot_mean_is_refused_at_its_place(
    tmp_path: Path, said: object, complaint: str
) -> None:
    with pytest.raises(SettingsError, match=complaint):
        load(tmp_path, {"mcpServers": {"x": {"command": "x", "compress": said}}})


def test_results_may_be_told_shorter_by_client(tmp_path: Path) -> None:
    clients = {"agent": 4_000, "other": True, "exact": False}
    found = load(tmp_path, {"mcpServers": {}, "gateway": {"compress": {"clients": clients}}})
    assert found.gateway.compress == GatewayCompressSettings(
        "pruned",
        (
            ClientCompressSettings("agent", PressSettings(budget_tokens=4_000)),
            ClientCompressSettings("other", PressSettings()),
        ),
    )


def test_tools_are_listed_as_the_file_says_at_all_servers_and_by_client(tmp_path: Path) -> None:
    said = {
        "tool_list": "signatures",
        "clients": {"small": {"tool_list": "search"}, "other": {"tool_list": "whole", "budget_tokens": 900}},
    }
    settings = load(tmp_path, {"mcpServers": {}, "gateway": {"compress": said}})
    assert settings.gateway.compress == GatewayCompressSettings(
        "signatures",
        (
            ClientCompressSettings("small", None, "search"),
            ClientCompressSettings("other", PressSettings(budget_tokens=900), "whole"),
        ),
    )
    told = snapshot(settings, [], [], "1")
    assert told["compress"] == {"other": {"share": 0.25, "budget_tokens": 900, "from_tokens": 1000}}
    assert told["tool_lists"] == {"all": "signatures", "clients": {"small": "search", "other": "whole"}}


@pytest.mark.parametrize(
    ("servers", "gateway", "help"),
    [
        ({}, {"tools": "search"}, 'write "tool_list"'),
        ({}, {"tool_list": "names"}, "write one of"),
        ({}, {"clients": {"a": {"tool_list": "searching"}}}, 'did you mean "search"'),
        ({"x": {"command": "x", "compress": {"tool_list": "prune"}}}, {}, 'did you mean "pruned"'),
        ({"x": {"command": "x", "compress": {"profile": "search"}}}, {}, 'write "tool_list"'),
    ],
)
def test_who_misspells_a_way_of_listing_tools_is_told_the_right_one(
    tmp_path: Path, servers: object, gateway: object, help: str
) -> None:
    with pytest.raises(SettingsError) as caught:
        load(tmp_path, {"mcpServers": servers, "gateway": {"compress": gateway}})
    assert help in (caught.value.help or "")


def test_a_servers_cache_is_switched_or_described(tmp_path: Path) -> None:
    tools = {"now": False, "read": 5_000, "search": {"ttl_ms": 9, "semantic": {"argument": "query"}}}
    cache = {"ttl_ms": 1_000, "stale_ms": 50, "tools": tools, "predict": ["read"]}
    found = only(load(tmp_path, {"mcpServers": {"x": {"command": "x", "cache": cache}}})).cache
    assert found == ServerCacheSettings(
        ttl_ms=1_000,
        stale_ms=50,
        tools=(
            ToolCacheSettings("now", enabled=False),
            ToolCacheSettings("read", ttl_ms=5_000),
            ToolCacheSettings("search", ttl_ms=9, semantic="query"),
        ),
        predict=("read",),
    )
    switched = only(load(tmp_path, {"mcpServers": {"x": {"command": "x", "cache": True}}})).cache
    assert switched == ServerCacheSettings()


@pytest.mark.parametrize(
    ("cache", "expected"),
    [
        (False, CacheSettings(enabled=False)),
        (True, CacheSettings()),
        ({"disk": False, "predict": False}, CacheSettings(disk_bytes=0, predict=False)),
        ({"disk": {"max_bytes": 5}, "max_items": 7}, CacheSettings(disk_bytes=5, max_items=7)),
        ({"disk": {}, "max_bytes": 9}, CacheSettings(max_bytes=9)),
    ],
)
def test_the_gateways_cache_is_switched_or_described(
    tmp_path: Path, cache: Any, expected: CacheSettings
) -> None:
    assert load(tmp_path, {"mcpServers": {}, "gateway": {"cache": cache}}).gateway.cache == expected


def test_limits_are_read_field_by_field(tmp_path: Path) -> None:
    tools = {"search": {"quota": 0.5, "cost": 1, "class": "background"}, "ping": {"class": "interactive"}}
    limits = {"policy": "fixed", "start": 9, "queue": 0, "tenant": {"per_s": 2, "burst": 30}, "tools": tools}
    pool = {"max_connections": 7, "http2": "known"}
    document = {
        "mcpServers": {"x": {"url": "http://x", "limits": limits, "pool": pool}, "memory": {}},
        "gateway": {
            "limits": {"tenant": 40, "tenant_server": 2.5, "policy": "cpu-step", "refusals_as_text": True}
        },
    }
    found = load(tmp_path, document)
    assert found.notes == ()
    first, other = found.servers
    assert first.limits == ServerLimitsSettings(
        "fixed",
        start=9,
        queue=0,
        tenant=QuotaSettings(2.0, 30),
        tools=(
            ToolLimitsSettings("search", QuotaSettings(0.5, 1), 1, "background"),
            ToolLimitsSettings("ping", call_class="interactive"),
        ),
    )
    assert first.pool == PoolSettings(max_connections=7, http2="known")
    assert (other.limits, other.pool) == (ServerLimitsSettings(), PoolSettings())
    assert found.gateway.limits == LimitsSettings(
        QuotaSettings(40.0, 40), QuotaSettings(2.5, 3), "cpu-step", True
    )


@pytest.mark.parametrize(
    ("said", "bounds"),
    [
        ({}, (4, 128, 1000)),
        ({"max": 8}, (4, 8, 8)),
        ({"max": 2}, (2, 2, 2)),
        ({"start": 2}, (2, 2, 1000)),
        ({"start": 5000}, (4, 5000, 5000)),
        ({"min": 300}, (300, 300, 1000)),
        ({"min": 3000}, (3000, 3000, 3000)),
        ({"min": 1, "max": 1}, (1, 1, 1)),
    ],
)
def test_what_is_not_said_of_the_bounds_follows_what_is(
    tmp_path: Path, said: dict[str, int], bounds: tuple[int, int, int]
) -> None:
    found = only(load(tmp_path, {"mcpServers": {"memory": {"limits": said}}})).limits
    assert (found.min, found.start, found.max) == bounds


@pytest.mark.parametrize(
    ("limits", "entry", "noted"),
    [
        ({"policy": "aimd"}, {}, True),
        ({"policy": "cpu-step"}, {}, False),
        ({"policy": "aimd", "tenant": 5}, {}, False),
        ({"policy": "aimd"}, {"limits": {"tenant": 5}}, False),
        ({"policy": "aimd"}, {"limits": {"tools": {"a": {"quota": 5}}}}, False),
        ({"policy": "aimd"}, {"limits": {"tools": {"a": {"cost": 5}}}}, True),
    ],
)
def test_a_policy_without_a_rate_to_move_is_noted(
    tmp_path: Path, limits: dict[str, Any], entry: dict[str, Any], noted: bool
) -> None:
    found = load(tmp_path, {"mcpServers": {"memory": entry}, "gateway": {"limits": limits}})
    assert any("nothing to move" in note for note in found.notes) is noted


def test_a_semantic_tool_names_its_argument(tmp_path: Path) -> None:
    cache = {"tools": {"search": {"semantic": {}}}}
    with pytest.raises(SettingsError, match="does not name the free-text argument"):
        load(tmp_path, {"mcpServers": {"x": {"command": "x", "cache": cache}}})


def test_recycling_by_requests_is_for_built_in_servers(tmp_path: Path) -> None:
    entries = {"x": {"command": "x", "recycle": {"requests": 5}}, "thinking": {"recycle": {"requests": 5}}}
    assert load(tmp_path, {"mcpServers": entries}).notes == (
        "x: recycle.requests counts for built-in servers only",
    )


def test_a_unix_url_is_a_server_of_its_own_kind(tmp_path: Path) -> None:
    server = only(load(tmp_path, {"mcpServers": {"u": {"url": "unix:/run/u.sock"}}}))
    assert (server.kind, server.path) == ("unix", "/run/u.sock")


def test_a_disabled_entry_needs_nothing_to_be_set(tmp_path: Path) -> None:
    entries = {"a": {"command": "${env:NOT_SET}", "enabled": False}, "git": {"disabled": True}}
    found = load(tmp_path, {"mcpServers": entries})
    assert [server.enabled for server in found.servers] == [False, False]


def test_an_env_file_is_read_and_env_wins_over_it(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("# keys\nexport A=1\nB='two words'\n\n")
    server = only(
        load(tmp_path, {"mcpServers": {"x": {"command": "x", "envFile": ".env", "env": {"A": "9"}}}})
    )
    assert dict(server.env) == {"A": "9", "B": "two words"}


def test_a_longer_timeout_alone_raises_the_deadline(tmp_path: Path) -> None:
    server = only(load(tmp_path, {"mcpServers": {"x": {"command": "x", "timeout_ms": 900_000}}}))
    assert (server.timeout_ms, server.deadline_ms) == (900_000, 900_000)


def test_flags_win_over_the_file(tmp_path: Path) -> None:
    value = {
        "gateway": {"port": 5000, "auth": True},
        "mcpServers": {"memory": {"restart": {"max_attempts": 9}}},
    }
    found = load(tmp_path, value, port=0, auth=False, max_restart_attempts=2)
    assert (found.gateway.port, found.gateway.auth) == (0, False)
    assert only(found).restart.max_attempts == found.orchestrator.restart.max_attempts == 2


def test_the_state_folder_is_the_flags_then_the_environments_then_the_users(tmp_path: Path) -> None:
    named = {"OMNIMIND_STATE": str(tmp_path / "b")}
    assert settings.state_dir(Path("a"), named) == Path(os.getcwd()) / "a"
    assert settings.state_dir(None, named) == tmp_path / "b"
    assert settings.state_dir(None, {}) == tmp_path / "xdg-state" / "omnimind"


def test_two_readings_of_one_file_are_equal_and_a_change_is_seen(tmp_path: Path) -> None:
    first, again = load(tmp_path, CLAUDE_CODE), load(tmp_path, CLAUDE_CODE)
    assert first == again
    changed = json.loads(json.dumps(CLAUDE_CODE))
    changed["mcpServers"]["db"]["env"] = {"A": "1"}
    other = load(tmp_path, changed)
    assert first.servers[0] != other.servers[0]
    assert first.servers[1] == other.servers[1]


SERVERS = '{"mcpServers": %s}'


@pytest.mark.parametrize(
    ("text", "code", "place", "help"),
    [
        ("", "OM0102", "1:1", "close"),
        ('{"mcpServers": {}', "OM0102", "1:18", "add ,"),
        ('{"mcpServers": {"memory": {},}}', "OM0102", "1:30", "comma"),
        ("{'mcpServers': {}}", "OM0102", "1:2", "key"),
        ('{\n  "mcpServers": {\n    "a": {"command": True}\n  }\n}', "OM0102", "3:22", "true"),
        ('{"mcpServers": {}} x', "OM0102", "1:20", "remove"),
        ('{"mcpServers": {"a": {"command": "x\n"}}}', "OM0102", "1:34", "close"),
        ('{"a": ' + "[" * 80 + "]" * 80 + "}", "OM0102", "1:71", None),
        (SERVERS % '{"a": {"command": "x"}, "a": {"command": "y"}}', "OM0103", "1:40", "1:17"),
        ('{"mcpServer": {}}', "OM0104", "1:2", "mcpServers"),
        ('{"Gateway": {}}', "OM0104", "1:2", "gateway"),
        (SERVERS % '{"a": {"comand": "x"}}', "OM0104", "1:23", "command"),
        (SERVERS % '{"a": {"command": "x", "tiers": "high"}}', "OM0104", "1:39", "tier"),
        (SERVERS % '{"a": {"command": "x", "wibble": 1}}', "OM0104", "1:39", "known keys"),
        ('{"gateway": {"prot": 1}}', "OM0104", "1:14", "port"),
        ("[]", "OM0105", "1:1", None),
        ('{"mcpServers": []}', "OM0105", "1:16", None),
        (SERVERS % '{"a": {"command": 3}}', "OM0105", "1:34", "quote"),
        (SERVERS % '{"a": {"command": " "}}', "OM0105", "1:34", None),
        (SERVERS % '{"a": {"command": "x", "args": "-v"}}', "OM0105", "1:47", "["),
        (SERVERS % '{"a": {"command": "x", "args": ["a", 3]}}', "OM0105", "1:53", None),
        (SERVERS % '{"a": {"command": "x", "env": {"A": true}}}', "OM0105", "1:52", None),
        (SERVERS % '{"a": {"command": "x", "env": {"A=B": "1"}}}', "OM0105", "1:47", None),
        (SERVERS % '{"a": {"command": "x", "tier": "critcal"}}', "OM0105", "1:47", "critical"),
        (SERVERS % '{"memory": {"port": 70000}}', "OM0105", "1:36", None),
        (SERVERS % '{"memory": {"port": true}}', "OM0105", "1:36", None),
        (SERVERS % '{"memory": {"sessions": "own"}}', "OM0105", "1:40", None),
        (SERVERS % '{"a": {"command": "x", "trust": ["everything"]}}', "OM0105", "1:49", None),
        (
            SERVERS % '{"a": {"command": "x", "timeout_ms": 9, "deadline_ms": 8}}',
            "OM0105",
            "1:53",
            "deadline_ms",
        ),
        (SERVERS % '{"a": {"command": "x", "after": ["b"]}}', "OM0105", "1:39", None),
        (SERVERS % '{"a": {"url": "ftp://x/y"}}', "OM0105", "1:30", "https"),
        (SERVERS % '{"a": {"url": "https://u:p@x/y"}}', "OM0105", "1:30", "headers"),
        (SERVERS % '{"a": {"url": "unix:x.sock"}}', "OM0105", "1:30", "absolute"),
        (SERVERS % '{"a": {"url": "wss://x/y", "type": "ws"}}', "OM0105", "1:51", "http"),
        (SERVERS % '{"a": {"url": "http://x/y", "headers": {"a b": "c"}}}', "OM0105", "1:55", None),
        (SERVERS % '{"a": {"url": "http://x/y", "headers": {"Host": "c"}}}', "OM0105", "1:55", "remove"),
        (SERVERS % '{"a": {"url": "http://x/ü"}}', "OM0105", "1:30", "percent"),
        (SERVERS % '{"a": {"command": "x", "cwd": "~nobody-here/x"}}', "OM0106", "1:46", "absolute"),
        (SERVERS % '{"/": {"command": "x"}}', "OM0105", "1:17", None),
        ('{"gateway": {"host": "0.0.0.0"}}', "OM0105", "1:22", "127.0.0.1"),
        ('{"orchestrator": {"restart": {"backoff_min_ms": 9, "backoff_max_ms": 8}}}', "OM0105", "1:30", None),
        (SERVERS % '{"a": {"command": "${env:NOPE}"}}', "OM0106", "1:34", "export NOPE"),
        (SERVERS % '{"a": {"command": "x", "args": ["ok", "${NOPE}"]}}', "OM0106", "1:54", "NOPE"),
        (
            SERVERS % '{"a": {"command": "x", "env": {"A": "1", "B": "${input:key}"}}}',
            "OM0106",
            "1:62",
            "${env:KEY}",
        ),
        (SERVERS % '{"a": {"command": "${workspaceFolder}/x"}}', "OM0106", "1:34", "absolute path"),
        (SERVERS % '{"a": {"command": "${file:nope.txt}"}}', "OM0106", "1:34", "path"),
        (SERVERS % '{"a": {"command": "${oops"}}', "OM0106", "1:34", "close"),
        (SERVERS % '{"a": {"command": "x", "envFile": "nope"}}', "OM0106", "1:50", "file"),
        (SERVERS % '{"memry": {}}', "OM0108", "1:17", "memory"),
        (SERVERS % '{"a": {"builtin": "zzz"}}', "OM0108", "1:34", "available"),
        (SERVERS % '{"a": {}}', "OM0109", "1:17", "command"),
        (SERVERS % '{"a": {"command": "x", "url": "http://x"}}', "OM0109", "1:46", "keep"),
        (SERVERS % '{"a": {"command": "x", "enabled": true, "disabled": true}}', "OM0109", "1:56", "keep"),
        ('{"mcpServers": {}, "servers": {}}', "OM0109", "1:20", "mcpServers"),
        (SERVERS % '{"thinking": {}, "sequential_thinking": {}}', "OM0110", "1:33", "rename"),
        (SERVERS % '{"a b": {"command": "x"}, "a-b": {"command": "x"}}', "OM0110", "1:42", "rename"),
        (SERVERS % '{"memory": {"port": 4320}}', "OM0110", "1:28", "another"),
        (SERVERS % '{"memory": {}, "x": {"command": "x", "port": 4321}}', "OM0110", "1:53", "another"),
        (SERVERS % '{"memory": {"limits": {"rate_per_s": 9}}}', "OM0104", "1:39", '"tenant": {"per_s": 10}'),
        (SERVERS % '{"memory": {"limits": {"concurrency": 9}}}', "OM0104", "1:39", '"max"'),
        (SERVERS % '{"memory": {"limits": {"polcy": "aimd"}}}', "OM0104", "1:39", "policy"),
        (SERVERS % '{"memory": {"limits": {"policy": "cpu"}}}', "OM0105", "1:49", "gradient"),
        (SERVERS % '{"memory": {"limits": {"tenant": {"burst": 1}}}}', "OM0105", "1:49", "per_s"),
        (SERVERS % '{"memory": {"limits": {"tenant": "9"}}}', "OM0105", "1:49", None),
        (SERVERS % '{"memory": {"limits": {"min": 9, "max": 8}}}', "OM0105", "1:46", "max"),
        (SERVERS % '{"memory": {"limits": {"start": 9, "max": 8}}}', "OM0105", "1:48", "max"),
        (
            SERVERS % '{"memory": {"limits": {"tools": {"a": {"cost": 9, "quota": 2}}}}}',
            "OM0105",
            "1:54",
            "burst",
        ),
        (
            SERVERS % '{"memory": {"limits": {"tenant": 2, "tools": {"a": {"cost": 9}}}}}',
            "OM0105",
            "1:67",
            "burst",
        ),
        (
            '{"mcpServers": {"git": {"limits": {"tools": {"a": {"cost": 9}}}}}, "gateway": {"limits": {"tenant": 2}}}',
            "OM0105",
            "1:25",
            "burst",
        ),
        ('{"gateway": {"limits": {"policy": "gradient"}}}', "OM0105", "1:35", "cpu-step"),
        (SERVERS % '{"memory": {"pool": {}}}', "OM0105", "1:36", "remove"),
        (SERVERS % '{"x": {"url": "unix:/x", "pool": {}}}', "OM0105", "1:49", "remove"),
        (SERVERS % '{"x": {"url": "http://x", "pool": {"max": 9}}}', "OM0104", "1:51", "max_connections"),
        (
            SERVERS % '{"x": {"url": "http://x", "pool": {"min_idle": 900}}}',
            "OM0105",
            "1:63",
            "max_connections",
        ),
        (SERVERS % '{"x": {"url": "http://x", "pool": {"http2": true}}}', "OM0105", "1:60", None),
    ],
)
def test_a_mistake_is_told_with_its_place_and_a_way_out(
    tmp_path: Path, text: str, code: str, place: str, help: str | None
) -> None:
    with pytest.raises(SettingsError) as caught:
        load(tmp_path, text)
    error = caught.value
    assert error.code == code, error
    assert error.where == f"{tmp_path / 'mcp_servers.json'}:{place}", error.render()
    assert help is None or help in (error.help or ""), error.help


def test_servers_that_wait_for_each_other_in_a_circle_are_refused(tmp_path: Path) -> None:
    circle = {
        "a": {"command": "x", "after": ["b"]},
        "b": {"command": "x", "after": ["c"]},
        "c": {"command": "x", "after": ["b"]},
    }
    with pytest.raises(SettingsError, match="after itself"):
        load(tmp_path, {"mcpServers": circle})


@pytest.mark.parametrize(
    ("content", "code"),
    [(b"\xff\xfe{}", "OM0102"), (b"[" * 200_000, "OM0102"), (b'{"a": ' + b"9" * 9000 + b"}", "OM0102")],
)
def test_hostile_bytes_are_an_error_and_not_a_crash(tmp_path: Path, content: bytes, code: str) -> None:
    path = tmp_path / "mcp_servers.json"
    path.write_bytes(content)
    with pytest.raises(SettingsError) as caught:
        settings.load(path, tmp_path)
    assert caught.value.code == code


def test_a_named_file_that_is_missing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as caught:
        settings.load(tmp_path / "nope.json", tmp_path)
    assert caught.value.code == "OM0101"


def test_a_byte_order_mark_is_no_obstacle(tmp_path: Path) -> None:
    path = tmp_path / "mcp_servers.json"
    path.write_bytes(b'\xef\xbb\xbf{"mcpServers": {"memory": {}}}')
    assert only(settings.load(path, tmp_path)).name == "memory"


def test_a_port_flag_that_a_server_has_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="memory"):
        load(tmp_path, {"mcpServers": {"memory": {}}}, port=4321)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
TEXTS = st.sampled_from(["x", "", "${X}", "unix:/x", "http://x", "memory", "~x/y", "own", "${file:x}", "\0"])


def section(table: Any) -> st.SearchStrategy[dict[str, Any]]:
    return st.dictionaries(
        st.sampled_from(sorted(table)), JSON | TEXTS | st.lists(TEXTS, max_size=2), max_size=5
    )


@given(
    entries=st.dictionaries(
        st.text(max_size=6) | st.sampled_from(["memory", "a"]), section(fields.ENTRY) | JSON, max_size=3
    ),
    gateway=section(fields.GATEWAY),
    orchestrator=section(fields.ORCHESTRATOR),
)
@hypothesis.settings(suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture])
def test_any_json_is_settings_or_an_error_with_a_place(
    tmp_path: Path, entries: Any, gateway: Any, orchestrator: Any
) -> None:
    value = {"mcpServers": entries, "gateway": gateway, "orchestrator": orchestrator}
    with contextlib.suppress(SettingsError):
        for server in load(tmp_path, value).servers:
            assert re.fullmatch(r"[A-Za-z0-9_-]{1,71}", server.name)
