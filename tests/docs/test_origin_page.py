"""docs/origin.md: complete, and true. What it names exists, what it shows runs, what it says of a name is so.

`origin_items.txt` beside this file is the list of what was asked for. The commands of systemd run in
tests/system/systemd/test_origin.py.
"""

from __future__ import annotations

import inspect
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import omnimind
from omnimind import catalog, cli, errors, settings
from omnimind.bench import verdict
from omnimind.cache.face import LEVELS
from omnimind.compression import SemanticCompressor
from omnimind.limits import Health
from omnimind.systemd import units
from tests.docs.pages import blocks, table
from tests.fleet import ROOT, wait_until

PAGE = ROOT / "docs" / "origin.md"
TEXT = PAGE.read_text()
PROSE = re.sub(r"^```.*?^```$", "", TEXT, flags=re.MULTILINE | re.DOTALL)
ITEMS = Path(__file__).with_name("origin_items.txt")
SPAN = re.compile(r"`([^`]+)`")
LINK = re.compile(r"\[[^]]*\]\(([^)#]*)#?([^)]*)\)")
NUMBER = re.compile(r"(?<![\w.,/-])\d+(?:[.,]\d+)*")
FOLDERS = ("tests/", "benches/", "rust/", "scripts/", "python/", "docs/", ".github/")
HEADS = ("found", "cause", "asked for", "step")
NINE = [builtin.name for builtin in catalog.BUILTINS]
READY_S = 60.0
COMMAND_S = 60.0


def parts() -> dict[str, str]:
    """The text of each part of the page, by the first letter or word of its heading, without marks."""
    found = {}
    for part in re.split(r"^## ", TEXT, flags=re.MULTILINE)[1:]:
        head = part.splitlines()[0]
        found[head.split(".")[0]] = part.replace("`", "")
    return found


def asked_for() -> list[tuple[str, str]]:
    """What the documents name: part and words."""
    found, part = [], ""
    for line in ITEMS.read_text().splitlines():
        if line.startswith("[") and line[1:-1] in parts():
            part = line[1:-1]
        elif not line.startswith("#"):
            found.append((part, line))
    return found


def rows() -> list[list[str]]:
    """Every row of the tables that say what answers a thing and what holds that."""
    found: list[list[str]] = []
    for text in PROSE.split("\n\n"):
        head, *cells = [
            [cell.strip() for cell in line.strip("|").split("|")]
            for line in text.splitlines()
            if line.startswith("|")
        ] or [[]]
        if "held by" in head:
            assert head[0] in HEADS
            assert head[1] in ("here", "answered by")
            assert head[2:] == ["held by", "measured"]
            found += cells[1:]
    return found


def slug(heading: str) -> str:
    """The anchor of a heading."""
    return re.sub(r"[^\w\- ]", "", heading.replace("`", "").lower()).replace(" ", "-")


def test_nothing_that_was_asked_for_is_missing() -> None:
    items = asked_for()
    assert len(items) > 150
    page = parts()
    missing = [f"{part}: {words}" for part, words in items if words not in page[part]]
    assert not missing, "\n".join(missing)


def test_every_row_says_what_answers_and_what_holds_it() -> None:
    found = rows()
    assert len(found) > 50
    for row in found:
        assert len(row) == 4, row
        wanted, here, held, _ = row
        assert here, row
        assert SPAN.search(held) or "Micro-Controller" in wanted, row


def test_what_the_page_names_is_there() -> None:
    named = {path for path in SPAN.findall(PROSE) if path.startswith(FOLDERS)}
    assert len(named) > 60
    assert not [path for path in named if not (ROOT / path).exists()]
    held = {path for row in rows() for path in SPAN.findall(row[2])}
    assert not [path for path in held if not path.startswith(("tests/", "benches/", "rust/"))]
    untested = [path for path in held if (ROOT / path).is_file() and "test" not in (ROOT / path).read_text()]
    assert not untested


def test_every_figure_is_one_that_another_page_reports() -> None:
    pages = [*(ROOT / "docs").rglob("*.md"), *(ROOT / "benches" / "results").glob("*.md"), ROOT / "Makefile"]
    reported = {number for page in pages if page != PAGE for number in NUMBER.findall(page.read_text())}
    figures = {number for row in rows() for number in NUMBER.findall(re.sub(SPAN, "", row[3]))}
    assert len(figures) > 20
    assert figures <= reported, "a figure belongs to the page that reports it; take it over from there"


def test_every_target_of_make_exists() -> None:
    targets = {words.removeprefix("make ") for words in SPAN.findall(PROSE) if words.startswith("make ")}
    assert len(targets) > 20
    subprocess.run(["make", "--dry-run", *sorted(targets)], cwd=ROOT, check=True, capture_output=True)


def test_every_link_leads_to_a_heading() -> None:
    for path, anchor in LINK.findall(PROSE):
        page = (PAGE.parent / path).resolve() if path else PAGE
        assert page.is_file(), path
        headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
        assert not anchor or anchor in map(slug, headings), f"{path}#{anchor}"


def commands() -> list[list[str]]:
    """Every `omnimind ...` of the page, as words."""
    shown = [*SPAN.findall(PROSE), *"".join(blocks(PAGE, "sh")).splitlines()]
    return [shlex.split(line)[1:] for line in shown if re.match(r"omnimind [a-z]", line)]


def test_every_command_and_option_is_known(capsys: pytest.CaptureFixture[str]) -> None:
    found = commands()
    assert len(found) > 15
    for words in found:
        assert words[0] in cli.COMMANDS, words
        actions = [word for word in words[1:] if re.fullmatch(r"[a-z]+", word)]
        with pytest.raises(SystemExit):
            cli.main([words[0], *actions, "--help"])
        shown = set(re.findall(r"--[a-z][a-z-]*", capsys.readouterr().out))
        options = {word.partition("=")[0] for word in words if word.startswith("--")}
        assert options <= shown, words


# --- the steps, in a home of their own


@dataclass(frozen=True)
class Home:
    """Somebody's home in which no port is anybody's, and in which `omnimind` and `python` are ours."""

    folder: Path
    environment: dict[str, str]

    @property
    def record(self) -> Path:
        return self.folder / "state" / "run.json"

    def run(self, command: str) -> str:
        """What a command says; it must succeed."""
        done = subprocess.run(
            ["bash", "-c", command],
            capture_output=True,
            text=True,
            timeout=COMMAND_S,
            env=self.environment,
            cwd=self.folder,
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
        return done.stdout

    def start(self, command: str) -> subprocess.Popen[bytes]:
        """A fleet in the foreground of a shell, once it is ready."""
        process = subprocess.Popen(
            ["bash", "-c", f"exec {command}"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=self.environment,
            cwd=self.folder,
        )
        wait_until(lambda: self.record.exists() or process.poll() is not None, READY_S, command)
        assert process.poll() is None, command
        return process


@pytest.fixture
def home(tmp_path: Path, request: pytest.FixtureRequest) -> Home:
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, what in (("omnimind", " -m omnimind"), ("python", "")):
        script = programs / name
        script.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)}{what} "$@"\n')
        script.chmod(0o755)
    file = tmp_path / ".config" / "omnimind" / "mcp_servers.json"
    file.parent.mkdir(parents=True)
    servers: dict[str, Any] = {name: {"port": None} for name in request.param}
    file.write_text(json.dumps({"mcpServers": servers, "gateway": {"port": 0}}))
    ours = {
        "HOME": str(tmp_path),
        "OMNIMIND_STATE": str(tmp_path / "state"),
        "NO_COLOR": "1",
        "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
    }
    rest = {key: value for key, value in os.environ.items() if not key.startswith("XDG_")}
    return Home(tmp_path, {**rest, **ours})


@pytest.fixture
def steps() -> tuple[list[str], list[str]]:
    """The commands before the fleet is up, that which starts it last; and those after."""
    before, after = (text.splitlines() for text in blocks(PAGE, "sh"))
    return before, after


@pytest.mark.timeout(180)
@pytest.mark.parametrize("home", [NINE], indirect=True, ids=["nine"])
def test_the_steps_of_the_checklist_work(home: Home, steps: tuple[list[str], list[str]]) -> None:
    *cleaning, start = steps[0]
    for command in cleaning:
        home.run(command)
    process = home.start(start)
    try:
        said = {command: home.run(command) for command in steps[1]}
        rows = json.loads(home.run("omnimind status --json"))["servers"]
        asking = """omnimind call --json context__get_context '{"query": "x", "max_tokens": 100000}'"""
        told = json.loads(home.run(asking))
        metrics = home.run(
            'curl -sf -H "Authorization: Bearer $(cat $OMNIMIND_STATE/token)" '
            f"{json.loads(home.record.read_text())['endpoints']['gateway'].removesuffix('/mcp')}/metrics"
        )
        assert process.poll() is None
    finally:
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0
    assert {row["name"]: row["state"] for row in rows} == dict.fromkeys(NINE, "ready")
    assert "MCP Latency Report" in said["omnimind monitor --duration 2"]
    assert "0 failures" in said["omnimind doctor --since 4h"]
    found = told["structuredContent"]
    assert (found["max_tokens"], found["target_tokens"]) == (100_000, 25_000)
    assert found["critical_info_preserved"] is True
    for counter in ("omnimind_cache_hits_total", "omnimind_cache_misses_total"):
        assert f"# TYPE {counter} counter" in metrics


@pytest.mark.parametrize("home", [["thinking"]], indirect=True, ids=["one"])
def test_the_orchestrator_starts_as_a_module(home: Home) -> None:
    (command,) = {words for words in SPAN.findall(PROSE) if re.match(r"python -m .* --max", words)}
    process = home.start(command)
    process.send_signal(signal.SIGINT)
    assert process.wait(30) == 0


@pytest.mark.timeout(180)
def test_the_command_of_the_benchmark_works(tmp_path: Path) -> None:
    if not (ROOT / ".venv" / ".extension").exists():
        pytest.skip("the script runs what a build has made in .venv: make .venv/.extension")
    (script,) = re.findall(r"^\$ sudo (bash scripts/run_mcp_benchmark.sh) 60 100$", TEXT, re.MULTILINE)
    done = subprocess.run(
        [*script.split(), "4", "5", "--out", str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=150,
    )
    assert done.returncode == 0, done.stderr
    texts = list(tmp_path.glob("ebpf_mcp_latency_*.txt"))
    assert [text.read_text() for text in texts] == [done.stdout]
    for kind in (".json", ".html"):
        assert texts[0].with_suffix(kind).exists()
    for line in (
        "MCP Latency Report (last ",
        "Syscall Latency Distribution (microseconds):",
        "Total calls: ",
    ):
        assert line in done.stdout
    assert all(line.p99 in done.stdout for line in verdict.TABLE)


# --- names


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
    (snippet,) = {span for span in SPAN.findall(PROSE) if span.startswith('"gateway":')}
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
