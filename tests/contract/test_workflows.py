"""The public workflows: YAML that parses, actions pinned by commit, no right that a job does not need.

The script that publishes the history of the benchmarks is run, in a repository of its own.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from fleet import ROOT
from toolbox import Toolbox

WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
READ = """
const yaml = require(process.argv[1])
console.log(JSON.stringify(yaml.parse(require("fs").readFileSync(0, "utf8"))))
"""
PINNED = re.compile(r"[\w-]+/[\w-]+@[0-9a-f]{40}")


def parsed(toolbox: Toolbox, file: Path) -> dict[str, Any]:
    command = [str(toolbox.node), "-e", READ, str(toolbox.modules / "yaml")]
    done = subprocess.run(
        command, input=file.read_text(), capture_output=True, text=True, timeout=30, check=True
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_there_are_workflows() -> None:
    assert {"ci.yml", "bench.yml"} <= {file.name for file in WORKFLOWS}


@pytest.mark.parametrize("file", WORKFLOWS, ids=lambda file: file.name)
def test_a_workflow_is_pinned_bounded_and_asks_for_little(toolbox: Toolbox, file: Path) -> None:
    workflow = parsed(toolbox, file)
    assert {"name", "on", "permissions", "jobs"} <= workflow.keys()
    assert workflow["permissions"] == {}
    text = file.read_text()
    assert "pull_request_target" not in text
    assert "secrets." not in text  # the repository's own token is all there is
    for name, job in workflow["jobs"].items():
        assert job["timeout-minutes"] <= 120, name
        assert job["permissions"], name
        for step in job["steps"]:
            if "uses" in step:
                assert PINNED.fullmatch(step["uses"]), step["uses"]
        if "write" in job["permissions"].values():
            assert "github.event_name != 'pull_request'" in job["if"], name


def test_shell_steps_parse_and_take_no_text_from_outside(toolbox: Toolbox) -> None:
    for file in WORKFLOWS:
        for name, job in parsed(toolbox, file)["jobs"].items():
            for step in job["steps"]:
                script = step.get("run", "")
                assert "${{" not in script, f"{file.name}, {name}: an expression in a script; pass it by env"
                done = subprocess.run(
                    ["bash", "-n", "-c", script], capture_output=True, text=True, timeout=10, check=False
                )
                assert done.returncode == 0, done.stderr


def scripts_of(toolbox: Toolbox, file: Path) -> str:
    jobs = parsed(toolbox, file)["jobs"]
    return "\n".join(step.get("run", "") for job in jobs.values() for step in job["steps"])


@pytest.mark.parametrize("file", WORKFLOWS, ids=lambda file: file.name)
def test_every_target_script_and_module_that_a_workflow_runs_exists(toolbox: Toolbox, file: Path) -> None:
    text = scripts_of(toolbox, file)
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"\bmake ([\w-]+)", text):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target
    for script in re.findall(r"\bbash ([\w./-]+)", text):
        assert (ROOT / script).is_file(), script
    for module in re.findall(r"\bpython3? -m (benches[\w.]*)", text):
        assert (ROOT / f"{module.replace('.', '/')}.py").is_file(), module


def test_the_benchmarks_are_run_and_compared(toolbox: Toolbox) -> None:
    text = scripts_of(toolbox, ROOT / ".github" / "workflows" / "bench.yml")
    assert {"bench", "bench-check"} <= set(re.findall(r"\bmake ([\w-]+)", text))


def git(*words: object, cwd: Path) -> str:
    identity = ("-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "init.defaultBranch=main")
    command = ["git", *identity, *map(str, words)]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=30, check=True).stdout


@pytest.mark.timeout(120)
def test_the_history_is_published_as_the_workflow_does_it(toolbox: Toolbox, tmp_path: Path) -> None:
    """The very script of the workflow, in clones of a repository of its own, with runs of a real machine."""
    steps = parsed(toolbox, ROOT / ".github" / "workflows" / "bench.yml")["jobs"]["publish"]["steps"]
    script = steps[-1]["run"]
    runs = json.loads((ROOT / "benches" / "results" / "accepted.json").read_text())
    origin, seed = tmp_path / "origin.git", tmp_path / "seed"
    git("init", "--quiet", "--bare", origin, cwd=tmp_path)
    git("clone", "--quiet", origin, seed, cwd=tmp_path)
    (seed / "benches").mkdir()
    for name in ("compare", "history", "origin", "ratios"):
        shutil.copy(ROOT / "benches" / f"{name}.py", seed / "benches")
    git("add", ".", cwd=seed)
    git("commit", "--quiet", "--message", "the code", cwd=seed)
    git("push", "--quiet", "origin", "HEAD:main", cwd=seed)

    def publish(name: str, *, accept: str, measured: str, slower: float) -> Path:
        clone, looked = tmp_path / name, tmp_path / f"{name}-looked"
        git("clone", "--quiet", "--branch", "main", origin, clone, cwd=tmp_path)
        (clone / "data").mkdir()
        for number, run in enumerate(runs, 1):
            moved = {key: [slower * ratio for ratio in ratios] for key, ratios in run["benchmarks"].items()}
            file = clone / "data" / f"bench-run-{number}.json"
            file.write_text(json.dumps({**run, "benchmarks": moved}))
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        given = {"PATH": path, "ACCEPT": accept, "MEASURED": measured, "GITHUB_SHA": name}
        done = subprocess.run(
            ["bash", "-e", "-c", script],
            cwd=clone,
            env={**os.environ, **given},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        git("clone", "--quiet", "--branch", "bench-history", origin, looked, cwd=tmp_path)
        return looked

    def accepted(looked: Path) -> float:
        (file,) = looked.glob("accepted-*.json")
        found = json.loads(file.read_text())[0]["benchmarks"]
        ratio: float = found[first][0] / runs[0]["benchmarks"][first][0]
        return ratio

    first = next(iter(runs[0]["benchmarks"]))
    looked = publish("one", accept="false", measured="success", slower=1.0)
    assert accepted(looked) == pytest.approx(1.0)
    assert {path.name for path in looked.iterdir()} >= {"README.md", "history.jsonl"}
    assert not (looked / "benches").exists()
    looked = publish("two", accept="false", measured="failure", slower=2.0)
    assert accepted(looked) == pytest.approx(1.0)
    lines = [json.loads(line) for line in (looked / "history.jsonl").read_text().splitlines()]
    assert lines[1]["ratios"][first] == pytest.approx(2 * lines[0]["ratios"][first], rel=1e-3)
    assert f"| {first} | " in (looked / "README.md").read_text()
    looked = publish("three", accept="true", measured="success", slower=3.0)
    assert accepted(looked) == pytest.approx(3.0)
    assert git("log", "--format=%s", cwd=looked).splitlines() == [
        f"Benchmarks of {name}" for name in ("three", "two", "one")
    ]
