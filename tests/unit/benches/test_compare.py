"""A regression is told from noise: simulated runs with a known truth, the real forms of the files, the exit status."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from benches import compare
from benches.compare import Run
from tests.fleet import ROOT

HERE = {"cpu": "one", "cores": 2}
ELSEWHERE = {"cpu": "another", "cores": 8}
NAMES = [f"benchmark {number}" for number in range(20)]


def run(
    seed: int,
    slower: Mapping[str, float] | None = None,
    *,
    machine: dict[str, object] = HERE,
    names: list[str] = NAMES,
) -> Run:
    """60 rounds each of ratios around 5, noisy by 15 % a round and by 5 % a run, with a slow moment now and then."""
    chance = random.Random(seed)
    ratios = {}
    for name in names:
        true = 5.0 * (slower or {}).get(name, 1.0) * chance.gauss(1, 0.05)
        ratios[name] = [true * chance.gauss(1, 0.15) * chance.choice([1] * 19 + [4]) for _ in range(60)]
    return Run(machine, "", ratios)


def three(seed: int, *slower: Mapping[str, float]) -> list[Run]:
    return [run(seed + number, dict(one)) for number, one in enumerate((*slower, {}, {}, {})[:3])]


def test_the_same_code_does_not_regress_whatever_the_noise() -> None:
    alarms = [
        verdict.name
        for seed in range(0, 200, 10)
        for verdict in compare.judge(three(10_000 + seed), three(seed))
        if verdict.has_regressed
    ]
    assert alarms == []  # of 400


def test_a_doubling_is_found_every_time() -> None:
    slower = {"benchmark 3": 2.0}
    for seed in range(0, 100, 10):
        verdicts = compare.judge(three(20_000 + seed, slower, slower, slower), three(seed))
        assert [verdict.name for verdict in verdicts if verdict.has_regressed] == ["benchmark 3"]


def test_one_slow_run_of_three_is_noise_and_two_are_not() -> None:
    slower = {"benchmark 3": 2.0}
    lines, status = compare.check(three(20_000, slower), three(0))
    assert status == 0, lines
    lines, status = compare.check(three(20_000, slower, slower), three(0))
    assert status == 1
    assert [line for line in lines if "regressed: above" in line] == [
        line for line in lines if line.startswith("benchmark 3 ")
    ]


def test_what_varies_between_accepted_runs_is_allowed_twice_over() -> None:
    assert compare.allowance([5.0, 5.1, 4.9]) == 1.25
    assert compare.allowance([5.0, 6.5, 5.5]) == pytest.approx(1.6)


def test_what_is_gone_fails_and_what_is_new_passes() -> None:
    with_one_more = [run(seed, names=[*NAMES, "one more"]) for seed in range(3)]
    lines, status = compare.check(three(30_000), with_one_more)
    assert status == 1
    assert "no longer measured in every run: one more" in lines
    lines, status = compare.check(with_one_more, three(30_000))
    assert status == 0
    assert "new, nothing to compare with: one more" in lines


def test_ratios_of_another_machine_are_reported_and_fail_nothing() -> None:
    slow = [run(seed, dict.fromkeys(NAMES, 3.0), machine=ELSEWHERE) for seed in range(3)]
    lines, status = compare.check(slow, three(40_000))
    assert status == 0
    assert sum("regressed: above" in line for line in lines) == len(NAMES)
    assert lines[-1].startswith("accepted on another machine")


def test_the_same_files_give_the_same_verdict() -> None:
    now, accepted = three(50_000), three(0)
    assert compare.check(now, accepted) == compare.check(now, accepted)


@pytest.mark.alone
def test_rounds_are_read_as_pytest_benchmark_wrote_them(tmp_path: Path) -> None:
    """By the real plugin and the real fixture: something that sleeps is some 10,000 look-ups and more."""
    (tmp_path / "conftest.py").write_text(
        "from benches.python.conftest import beside, lookup  # noqa: F401\n"
    )
    (tmp_path / "test_one.py").write_text(
        "import time, pytest\n"
        "@pytest.mark.benchmark(group='naps')\n"
        "def test_nap(beside, lookup):\n"
        "    beside(lambda: time.sleep(0.0005), lookup, clock=time.perf_counter_ns, waits=True, rounds=5)\n"
    )
    found = tmp_path / "found.json"
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(tmp_path)]
    done = subprocess.run(
        [*command, "-o", "pythonpath=" + str(ROOT), f"--benchmark-json={found}", str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    ratios = compare.of_pytest(found)
    assert list(ratios) == ["naps: nap", "naps: nap, wall"]
    assert len(ratios["naps: nap"]) == 5
    assert min(ratios["naps: nap"]) > 1000


def test_criterion_is_read_beside_what_serde_took(tmp_path: Path) -> None:
    for name, took_ns in (
        ("wire/read/call", 300.0),
        ("wire/read/call_serde_ignored", 100.0),
        ("bucket/admit", 50.0),
    ):
        folder = tmp_path / name / "new"
        folder.mkdir(parents=True)
        iters = [10.0, 20.0, 30.0]
        times = [took_ns * count for count in iters]
        (folder / "sample.json").write_text(
            json.dumps({"sampling_mode": "Linear", "iters": iters, "times": times})
        )
        (folder / "benchmark.json").write_text(json.dumps({"full_id": name}))
    found = compare.of_criterion(tmp_path)
    assert found == {
        "criterion: bucket/admit": pytest.approx([0.5] * 3),
        "criterion: wire/read/call": pytest.approx([3.0] * 3),
    }


def test_a_run_without_a_reference_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(compare.RunError, match="holds no benchmark"):
        compare.of_criterion(tmp_path)
    file = tmp_path / "found.json"
    file.write_text(json.dumps({"benchmarks": [{"group": "a", "name": "test_b", "extra_info": {}}]}))
    with pytest.raises(compare.RunError, match="no reference beside a: b"):
        compare.of_pytest(file)


def command(*words: object) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-m", "benches.compare", *map(str, words)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def test_the_command_accepts_checks_and_records(tmp_path: Path) -> None:
    files = []
    for number, one in enumerate(three(0)):
        files.append(tmp_path / f"run-{number}.json")
        compare.write(files[-1], vars(one))
    accepted, history = tmp_path / "accepted.json", tmp_path / "new" / "history.jsonl"
    status, said = command("check", *files, "--accepted", accepted)
    assert (status, "make bench-accept" in said) == (2, True)
    assert command("accept", *files, "--accepted", accepted)[0] == 0
    status, said = command("check", *files, "--accepted", accepted)
    assert (status, said.splitlines()[-1]) == (0, "0 of 20 benchmarks regressed, 0 are gone, by 3 runs")
    slow = three(100, *[{"benchmark 1": 3.0}] * 3)
    for file, one in zip(files, slow, strict=True):
        compare.write(file, vars(one))
    assert command("check", *files, "--accepted", accepted)[0] == 1
    assert command("record", history, *files)[0] == 0
    line = json.loads(history.read_text())
    assert line["ratios"]["benchmark 1"] == pytest.approx(15, rel=0.2)
    status, said = command("check", tmp_path / "none.json", "--accepted", accepted)
    assert (status, "make bench" in said) == (2, True)
