"""A regression is told from noise: simulated runs with a known truth, the real forms of the files, the exit status."""

from __future__ import annotations

import json
import random
import statistics
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from benches import compare, history, ratios
from benches.ratios import Run, RunError
from omnimind.catalog import BUILTINS
from tests.fleet import ROOT

HERE = {"cpu": "one", "cores": 2, "python": "3.13.1", "kernel": "6.1"}
ELSEWHERE = {"cpu": "another", "cores": 8, "python": "3.13.1", "kernel": "6.1"}
NAMES = [f"benchmark {number}" for number in range(20)]


def run(
    seed: int,
    slower: Mapping[str, float] | None = None,
    *,
    machine: dict[str, Any] = HERE,
    names: list[str] = NAMES,
    commit: str = "abc",
) -> Run:
    """60 rounds each of ratios around 5, noisy by 15 % a round and by 5 % a run, with a slow moment now and then."""
    chance = random.Random(seed)
    found = {}
    for name in names:
        true = 5.0 * (slower or {}).get(name, 1.0) * chance.gauss(1, 0.05)
        found[name] = [true * chance.gauss(1, 0.15) * chance.choice([1] * 19 + [4]) for _ in range(60)]
    return Run(machine, commit, found)


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
    (said,) = [line for line in lines if line.startswith("regressed: ")]
    assert said.startswith("regressed: benchmark 3 takes ")
    assert said.endswith("in 2 of 3 runs")
    assert [line.split("  ")[0] for line in lines if line.endswith("REGRESSED")] == ["benchmark 3"]


def test_what_varies_between_accepted_runs_is_allowed_twice_over() -> None:
    assert compare.allowance([5.0, 5.1, 4.9]) == 1.25
    assert compare.allowance([5.0, 6.5, 5.5]) == pytest.approx(1.6)


def test_what_is_gone_fails_and_what_is_new_passes() -> None:
    with_one_more = [run(seed, names=[*NAMES, "one more"]) for seed in range(3)]
    lines, status = compare.check(three(30_000), with_one_more)
    assert status == 1
    assert "no longer measured in every run: one more" in lines
    assert any("`make bench-accept` take the new names" in line for line in lines)
    lines, status = compare.check(with_one_more, three(30_000))
    assert status == 0
    assert "new, nothing to compare with: one more" in lines


def test_what_one_run_of_three_lacks_is_gone() -> None:
    two = [run(30_000), run(30_001), run(30_002, names=NAMES[1:])]
    lines, status = compare.check(two, three(0))
    assert (status, "no longer measured in every run: benchmark 0" in lines) == (1, True)


def test_what_was_renamed_is_said_under_both_names_and_fails() -> None:
    renamed = [run(seed, names=[*NAMES[:-1], "another name"]) for seed in range(3)]
    lines, status = compare.check(renamed, three(30_000))
    assert status == 1
    assert f"no longer measured in every run: {NAMES[-1]}" in lines
    assert "new, nothing to compare with: another name" in lines
    assert "19 benchmarks regressed, 1 are gone, 1 are new" in lines[-1]


def test_ratios_of_another_machine_are_reported_and_fail_nothing() -> None:
    slow = [run(seed, dict.fromkeys(NAMES, 3.0), machine=ELSEWHERE) for seed in range(3)]
    lines, status = compare.check(slow, three(40_000))
    assert status == 0
    assert sum(line.startswith("regressed: ") for line in lines) == len(NAMES)
    assert lines[-1].startswith("accepted on another kind of machine (one-2-cores, this is another-8-cores)")


def test_another_python_on_the_same_machine_is_said() -> None:
    newer = [run(seed, machine={**HERE, "python": "3.14.0"}) for seed in range(3)]
    lines, status = compare.check(newer, three(40_000))
    assert status == 0
    assert "python was 3.13.1 when it was accepted, it is 3.14.0 now" in lines


def test_runs_of_two_commits_or_machines_are_not_accepted_as_one(tmp_path: Path) -> None:
    file = tmp_path / "accepted.json"
    with pytest.raises(RunError, match=r"different origin \(abc, def\)"):
        compare.accept([run(0), run(1, commit="def")], file)
    with pytest.raises(RunError, match="another-8-cores"):
        compare.accept([run(0), run(1, machine=ELSEWHERE)], file)
    assert not file.exists()


def test_what_is_accepted_says_machine_and_commit_and_is_read_back(tmp_path: Path) -> None:
    file = tmp_path / "accepted.json"
    said = compare.accept(three(0), file)
    assert said[-1] == f"accepted: 3 runs of commit abc on one-2-cores: {file}"
    assert [(one["machine"], one["commit"]) for one in json.loads(file.read_text())] == [(HERE, "abc")] * 3
    assert compare.read_accepted(file) == three(0)
    assert "fewer than 3 runs" in compare.accept([run(0)], file)[-1]
    assert "no commit" in compare.accept([run(seed, commit="abc-dirty") for seed in range(3)], file)[-1]


ACCEPTED = compare.read_accepted(compare.ACCEPTED)
"""Real runs of a real machine, as they were accepted last."""


def only(names: list[str], *, slower: Mapping[str, float]) -> list[Run]:
    """These benchmarks of the real runs, some of them slower."""
    return [
        Run(
            one.machine,
            one.commit,
            {name: [slower.get(name, 1.0) * ratio for ratio in one.benchmarks[name]] for name in names},
        )
        for one in ACCEPTED
    ]


def test_real_runs_of_the_same_code_are_noise_whichever_rounds_they_drew() -> None:
    assert len(ACCEPTED) >= compare.ENOUGH_RUNS
    chance = random.Random(5)
    again = [
        Run(
            one.machine,
            one.commit,
            {name: chance.choices(rounds, k=len(rounds)) for name, rounds in one.benchmarks.items()},
        )
        for one in ACCEPTED
    ]
    lines, status = compare.check(again, ACCEPTED)
    assert status == 0, lines


def test_in_real_runs_each_benchmark_regresses_alone_and_just_beyond_what_is_allowed() -> None:
    """Two of three runs must lie above it as a whole, whatever their noise: the second lowest says from where on."""
    names = list(ACCEPTED[0].benchmarks)[::4]
    for name, neighbour in zip(names, [*names[1:], names[0]], strict=True):
        pair = [name, neighbour]
        accepted = only(pair, slower={})
        (verdict,) = [one for one in compare.judge(accepted, accepted) if one.name == name]
        enough = verdict.allowed / sorted(verdict.lows)[1]
        for factor, regressed in ((enough * 0.99, []), (enough * 1.01, [name])):
            verdicts = compare.judge(only(pair, slower={name: factor}), accepted)
            assert [one.name for one in verdicts if one.has_regressed] == regressed


def test_real_runs_cover_every_hot_path_that_is_promised() -> None:
    names = "\n".join(ACCEPTED[0].benchmarks)
    nine = [builtin.name for builtin in BUILTINS]
    paths = ["call: cached", "call: pass_through", "limiter: ", "pool: checkout", "compressor: compress"]
    paths += [f"cache level: hit_{level}" for level in ("in_memory", "in_packed_memory", "on_disk")]
    paths += [f"cheapest tool: builtin[{name}]" for name in nine]
    paths += ["fleet: nine_mixed_at_a_hundred_in_flight"]
    paths += [
        f"criterion: {group}/"
        for group in ("memory", "bucket", "levels", "limiter", "wire/read_call", "probe")
    ]
    assert [path for path in paths if path not in names] == []


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
        "    beside(lambda: time.sleep(0.0005), lookup, clock=time.perf_counter_ns, waits=True)\n"
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
    read = ratios.of_pytest(found)
    assert list(read) == ["naps: nap", "naps: nap, wall"]
    assert len(read["naps: nap"]) >= 20
    assert min(read["naps: nap"]) > 1000


def criterion(folder: Path, **took_ns: float) -> Path:
    """A folder as criterion leaves it; `__` is a slash."""
    for name, took in took_ns.items():
        full = name.replace("__", "/")
        new = folder / full / "new"
        new.mkdir(parents=True)
        iters = [10.0, 20.0, 30.0]
        times = [took * count for count in iters]
        (new / "sample.json").write_text(
            json.dumps({"sampling_mode": "Linear", "iters": iters, "times": times})
        )
        (new / "benchmark.json").write_text(json.dumps({"full_id": full}))
    return folder


def test_criterion_is_read_beside_its_groups_reference(tmp_path: Path) -> None:
    folder = criterion(
        tmp_path,
        wire__read__reference=100.0,
        wire__read__call=300.0,
        memory__look__reference=4.0,
        memory__look__hit=20.0,
        memory__look__hit_beside_another=40.0,
    )
    assert ratios.of_criterion(folder) == {
        "criterion: wire/read/call": pytest.approx([3.0] * 3),
        "criterion: memory/look/hit": pytest.approx([5.0] * 3),
        "criterion: memory/look/hit_beside_another": pytest.approx([10.0] * 3),
    }


def test_a_run_without_a_reference_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="holds no benchmark of criterion"):
        ratios.of_criterion(tmp_path / "none")
    with pytest.raises(RunError, match="no benchmark bucket/reference beside bucket/admit"):
        ratios.of_criterion(criterion(tmp_path, bucket__admit=50.0, other__reference=1.0))
    file = tmp_path / "found.json"
    file.write_text(json.dumps({"benchmarks": [{"group": "a", "name": "test_b", "extra_info": {}}]}))
    with pytest.raises(RunError, match="no reference beside a: b"):
        ratios.of_pytest(file)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "is not JSON"),
        ("[]", "is no run of this program"),
        ('{"machine": {}, "commit": "", "benchmarks": {}}', "is no run of this program: 'cpu'"),
        (
            '{"machine": {"cpu": "a", "cores": 1}, "commit": "", "benchmarks": {"one": []}}',
            "no rounds of one",
        ),
    ],
)
def test_a_file_that_is_no_run_is_named(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "run.json"
    file.write_text(text)
    status, words = command("show", file)
    assert (status, words.startswith("error: "), said in words) == (2, True, True), words


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
        ratios.write(files[-1], vars(one))
    accepted, lines = tmp_path / "accepted.json", tmp_path / "new" / "history.jsonl"
    status, said = command("check", *files, "--accepted", accepted)
    assert (status, "make bench-accept" in said) == (2, True)
    assert command("accept", *files, "--accepted", accepted)[0] == 0
    status, said = command("check", *files, "--accepted", accepted)
    assert (status, said.splitlines()[-1]) == (
        0,
        "0 of 20 benchmarks regressed, 0 are gone, 0 are new, by 3 runs beside 3 accepted of commit abc",
    )
    status, said = command("show", *files)
    assert (status, len(said.splitlines())) == (0, 1 + len(NAMES))
    slow = three(100, *[{"benchmark 1": 3.0}] * 3)
    for file, one in zip(files, slow, strict=True):
        ratios.write(file, vars(one))
    assert command("check", *files, "--accepted", accepted)[0] == 1
    assert command("record", lines, *files)[0] == 0
    line = json.loads(lines.read_text())
    assert line["ratios"]["benchmark 1"] == pytest.approx(15, rel=0.2)
    status, said = command("check", tmp_path / "none.json", "--accepted", accepted)
    assert (status, "make bench" in said) == (2, True)


def test_no_line_of_a_table_is_longer_than_a_wide_terminal() -> None:
    for line in [
        *compare.show(ACCEPTED),
        *compare.check(ACCEPTED, ACCEPTED)[0][: len(ACCEPTED[0].benchmarks) + 1],
    ]:
        assert len(line) <= 120, line


def recorded(
    file: Path, seeds: list[int], *, machine: dict[str, Any] = HERE, names: list[str] = NAMES
) -> str:
    """The page after these runs, one a line."""
    for seed in seeds:
        history.record(file, [run(seed + each, machine=machine, names=names) for each in range(3)])
    return file.with_name(history.PAGE).read_text()


def test_the_page_of_the_history_has_a_row_a_benchmark_and_a_bar_a_commit(tmp_path: Path) -> None:
    file = tmp_path / "history.jsonl"
    page = recorded(file, list(range(0, 50, 10)))
    assert len(file.read_text().splitlines()) == 5
    assert "5 commits, the last abc on 20" in page
    rows = [line for line in page.splitlines() if line.startswith("| benchmark ")]
    assert [row.split(" | ")[0].removeprefix("| ") for row in rows] == sorted(NAMES)
    lines = history.lines_of(file)
    for row, name in zip(rows, sorted(NAMES), strict=True):
        each = [line["ratios"][name] for line in lines]
        drawn = row.split("`")[1]
        assert len(drawn) == 5
        assert drawn[each.index(max(each))] == "█"
        assert row.startswith(f"| {name} | {each[-1]:.4g} | {statistics.median(each[:-1]):.4g} | ")


def test_a_doubling_is_seen_in_the_bars_and_a_gap_where_nothing_was_measured(tmp_path: Path) -> None:
    assert history.bars([1.0, 1.0, 2.0]) == "▅▅█"
    assert history.bars([None, 4.0]) == " █"
    file = tmp_path / "history.jsonl"
    recorded(file, [0], names=NAMES[1:])
    page = recorded(file, [10])
    assert "| benchmark 0 | " in page
    (row,) = [line for line in page.splitlines() if line.startswith("| benchmark 0 |")]
    assert row.endswith("| - | ` █` |")


def test_machines_stand_apart_on_the_page_the_last_first(tmp_path: Path) -> None:
    file = tmp_path / "history.jsonl"
    recorded(file, [0, 10])
    page = recorded(file, [20], machine=ELSEWHERE)
    assert [line for line in page.splitlines() if line.startswith("## ")] == [
        "## another, 8 cores",
        "## one, 2 cores",
    ]


def test_a_line_of_the_history_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    file = tmp_path / "history.jsonl"
    recorded(file, [0])
    file.write_text(file.read_text() + "{\n")
    with pytest.raises(RunError, match="line 2, is no line of a history"):
        history.record(file, [run(1)])
