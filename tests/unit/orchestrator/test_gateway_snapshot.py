"""What the gateway is told of the configuration, and what it is not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from omnimind import settings, tokens
from omnimind.orchestrator.snapshot import snapshot


def snapshot_of(tmp_path: Path, document: dict[str, Any], **keys: Any) -> dict[str, Any]:
    config = tmp_path / "mcp_servers.json"
    config.write_text(json.dumps(document))
    loaded = settings.load(config, tmp_path / "state", **keys)
    tokens.ensure(loaded.state_dir)
    return snapshot(loaded, tokens.principals(loaded.state_dir), tokens.key_ring(loaded.state_dir), "1.2.3")


def test_it_survives_json_and_holds_keys_and_principals(tmp_path: Path) -> None:
    made = snapshot_of(tmp_path, {"mcpServers": {"memory": {}}})
    assert json.loads(json.dumps(made)) == made
    assert made["version"] == "1.2.3"
    assert made["state_dir"] == str(tmp_path / "state")
    assert [len(key) for key in made["keys"]] == [64]
    assert made["auth"]["required"] is True
    assert made["auth"]["tokens"][0]["role"] == "operator"


def test_commands_and_environments_stay_here(tmp_path: Path) -> None:
    entry = {"command": "run-me", "args": ["--key", "hush"], "env": {"TOKEN": "xyzzy"}, "cwd": "/tmp"}
    text = json.dumps(snapshot_of(tmp_path, {"mcpServers": {"tool": entry}}))
    assert not [word for word in ("run-me", "hush", "xyzzy", "TOKEN") if word in text]


def test_servers_come_in_tier_order_without_the_disabled(tmp_path: Path) -> None:
    servers = {
        "slow": {"command": "x", "tier": "medium"},
        "off": {"command": "x", "enabled": False},
        "first": {"command": "x", "tier": "critical"},
    }
    made = snapshot_of(tmp_path, {"mcpServers": servers})
    assert [server["name"] for server in made["servers"]] == ["first", "slow"]


def test_each_kind_says_how_it_is_reached(tmp_path: Path) -> None:
    servers = {
        "web": {"url": "https://example.test/mcp", "headers": {"Authorization": "Bearer b"}},
        "sock": {"url": "unix:/run/x.sock"},
        "thinking": {},
    }
    by_name = {s["name"]: s for s in snapshot_of(tmp_path, {"mcpServers": servers})["servers"]}
    assert by_name["web"]["url"] == "https://example.test/mcp"
    assert by_name["web"]["headers"] == {"Authorization": "Bearer b"}
    assert (by_name["sock"]["kind"], by_name["sock"]["path"], by_name["sock"]["url"]) == (
        "unix",
        "/run/x.sock",
        None,
    )
    assert by_name["thinking"]["first_party"] is True
    assert by_name["thinking"]["sessions"] == "shared"
    assert by_name["thinking"]["aliases"] == ["sequential_thinking"]
    assert by_name["web"]["aliases"] == []


def test_no_auth_is_passed_on(tmp_path: Path) -> None:
    made = snapshot_of(tmp_path, {"mcpServers": {"memory": {}}}, auth=False)
    assert made["auth"]["required"] is False


def test_it_says_how_soon_silence_counts(tmp_path: Path) -> None:
    strange = {"command": "x", "timeout_ms": 30_000}
    document = {"mcpServers": {"memory": {}, "strange": strange}, "orchestrator": {"heartbeat_ms": 400}}
    assert [server["heartbeat_ms"] for server in snapshot_of(tmp_path, document)["servers"]] == [400, 10_000]


def test_limits_are_told_whole_and_a_pool_only_for_connections_over_http(tmp_path: Path) -> None:
    limits = {
        "max": 8,
        "tenant": 5,
        "tools": {"ask": {"quota": {"per_s": 1, "burst": 2}, "class": "background"}},
    }
    servers = {"web": {"url": "https://x", "limits": limits, "pool": {"min_idle": 2}}, "memory": {}}
    made = snapshot_of(tmp_path, {"mcpServers": servers, "gateway": {"limits": {"policy": "aimd"}}})
    assert made["limits"] == {
        "tenant": None,
        "tenant_server": None,
        "policy": "aimd",
        "refusals_as_text": False,
    }
    by_name = {server["name"]: server for server in made["servers"]}
    assert by_name["web"]["limits"] == {
        "policy": "gradient",
        "start": 8,
        "min": 4,
        "max": 8,
        "queue": 10_000,
        "tenant": {"per_s": 5.0, "burst": 5},
        "tools": {"ask": {"quota": {"per_s": 1.0, "burst": 2}, "cost": 1, "class": "background"}},
    }
    assert by_name["web"]["pool"] == {
        "max_connections": 100,
        "wait_ms": 5_000,
        "min_idle": 2,
        "idle_ms": 4_000,
        "max_age_ms": 300_000,
        "http2": "offered",
    }
    assert by_name["memory"]["limits"]["start"] == 128
    assert "pool" not in by_name["memory"]
