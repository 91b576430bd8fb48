"""What docs/origin.md says of names, numbers and files is so: they are called, and looked at."""

from __future__ import annotations

import inspect
import json
import re
import tomllib
from pathlib import Path
from typing import Any

import omnimind
from omnimind import catalog, errors, settings
from omnimind.bench import verdict
from omnimind.cache.face import LEVELS
from omnimind.compression import SemanticCompressor
from omnimind.limits import Health
from omnimind.systemd import units
from tests.docs.origin import PAGE, SPANS, TEXT
from tests.docs.pages import table
from tests.fleet import ROOT


def default(of: Any, name: str) -> Any:
    return inspect.signature(of).parameters[name].default


def test_the_fleet_is_the_catalogues() -> None:
    wanted = [[builtin.tier, builtin.name, str(builtin.port)] for builtin in catalog.BUILTINS]
    tiers = {tier: f"{tier} (tier {at})" for at, tier in enumerate(catalog.TIERS, 1)}
    found = table(PAGE, "tier")
    assert [[tier, server.split(",")[0], port] for tier, _, server, port in found] == wanted
    assert [row[1] for row in found] == [tiers[row[0]] for row in found]
    assert catalog.canonical("sequential_thinking") == "thinking"
    assert {4330, catalog.GATEWAY_PORT}.isdisjoint(builtin.port for builtin in catalog.BUILTINS)


def test_the_cache_has_five_levels_and_the_bounds_that_were_asked_for(tmp_path: Path) -> None:
    shown = re.search(r"omnimind\.Cache\(levels=(\([^)]*\))\)", TEXT)
    assert shown is not None
    assert shown[1] == json.dumps(LEVELS).replace("[", "(").replace("]", ")")
    cache: omnimind.Cache[str, bytes] = omnimind.Cache()
    kept: omnimind.Cache[str, bytes] = omnimind.Cache(("ram", "disk"), folder=tmp_path / "kept")
    with cache, kept:
        for at in range(20_000):
            cache[str(at)] = kept[str(at)] = b"x"
        assert cache.get("19999") == b"x"
        assert cache.get("nothing") is None
        assert cache.stats()["ram"].entries == 1_000
        assert (cache.stats()["ram"].hits, cache.stats()["ram"].misses) == (1, 1)
        assert kept.stats()["ram"].entries == 10_000


def test_a_context_is_compressed_as_the_signature_says() -> None:
    called = inspect.signature(SemanticCompressor.compress_context)
    assert list(called.parameters)[:2] == ["self", "data"]
    assert called.parameters["data"].annotation.startswith("dict")
    assert called.return_annotation.startswith("dict")
    assert called.parameters["target_tokens"].default == 25_000
    told = SemanticCompressor().compress_context(
        {"rows": [{"id": at, "state": "paid"} for at in range(9_000)]}
    )
    assert told["tokens_after"] <= 25_000 < told["tokens_before"]
    assert told["critical_info_preserved"] == True  # noqa: E712 - as it was asked for
    assert default(SemanticCompressor, "embeddings") is False


def test_the_limiter_has_the_numbers_that_were_asked_for() -> None:
    assert default(omnimind.RateLimiter.__new__, "max_rps") == 100
    limiter = omnimind.RateLimiter(max_rps=2)
    assert [limiter.should_allow_request() for _ in range(3)] == [True, True, False]
    readings = [Health(cpu=0.5), Health(cpu=0.81), Health(cpu=0.29)]
    stepping = omnimind.RateLimiter(500, policy="cpu-step", health=iter(readings).__next__)
    for second, rate in enumerate([500, 250, 1_000]):
        stepping.should_allow_request(now_ns=second * 1_000_000_000)
        assert stepping.rate_per_s == rate
    assert "p99_s" in Health._fields
    for of in (omnimind.RateLimiter.acquire, omnimind.RateLimiter.permit):
        assert {"priority", "deadline"} <= set(inspect.signature(of).parameters)


def test_settings_have_the_defaults_that_the_page_names(tmp_path: Path) -> None:
    (snippet,) = {span for span in SPANS if span.startswith('"gateway":')}
    file = tmp_path / "mcp_servers.json"
    file.write_text(f'{{"mcpServers": {{"memory": {{}}}}, {snippet}}}')
    found = settings.load(file, tmp_path / "state")
    assert found.gateway.limits.policy == "cpu-step"
    restart = found.orchestrator.restart
    assert (restart.max_attempts, restart.window_s) == (3, 60)
    assert (restart.backoff_min_ms, restart.backoff_max_ms) == (250, 30_000)
    assert found.orchestrator.start_timeout_ms == 30_000
    assert settings.PoolSettings().max_connections == 100
    assert default(omnimind.ConnectionPool, "max_connections") == 100
    assert set(default(omnimind.ConnectionPool, "compression")) == {"zstd", "br", "gzip"}
    assert default(omnimind.ConnectionPool, "http2") == "offered"
    assert (default(omnimind.stream, "page_items"), default(omnimind.stream, "idle_s")) == (100, 30.0)
    assert "OM0107" in errors.CODES


def test_the_verdict_reads_p99_as_the_page_says() -> None:
    found = {row[0]: row[1:] for row in table(PAGE, "p99")}
    assert list(found) == [line.p99 for line in verdict.TABLE]
    for line in verdict.TABLE:
        original, here = found[line.p99]
        assert original.removeprefix("a ") == f"{line.level}: {line.original}"
        assert line.ours.replace("`", "") in here
    for figure in ("13 us over loopback TCP", "8 us over a Unix socket", "above 50 ms is never the socket"):
        assert figure in verdict.NO_MODULE
        assert figure in found["> 50 ms"][1]


def test_the_package_is_made_of_what_the_card_names() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    names = {re.split(r"[<>=]", one)[0] for one in project["project"]["dependencies"]}
    assert names == {"mcp", "anyio", "lz4", "msgpack", "psutil", "platformdirs", "pygit2"}
    assert project["build-system"]["build-backend"] == "maturin"
    assert any(one.startswith("pytest-benchmark") for one in project["dependency-groups"]["test"])
    assert "pyo3 = " in (ROOT / "Cargo.toml").read_text()
    for name in ("pyproject.toml", "Cargo.toml", "rust", "python/omnimind", "tests", "benches", ".github"):
        assert (ROOT / name).exists()
    assert f"python-source = {json.dumps('python')}" in (ROOT / "pyproject.toml").read_text()
    templates = {file.name for file in units.TEMPLATES.iterdir()}
    assert {"omnimind-mcp@.service", "omnimind-mcp@.socket", "omnimind-mcp.target"} <= templates
