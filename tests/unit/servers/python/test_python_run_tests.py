"""What pytest is told, what our recorder writes inside real runs of it, and what is made of that."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from omnimind.servers.problem import Problem
from omnimind.servers.python import test_run
from omnimind.servers.python.sources import given

SUITE = """
import os, pytest

def test_good(): print("not told")

def test_bad():
    print("on the way")
    assert {"a": 1} == {"a": 2}, "numbers differ"

@pytest.mark.parametrize("n", [1, 2])
def test_each(n): assert n

@pytest.mark.skip(reason="later")
def test_later(): pass

@pytest.mark.xfail(reason="known")
def test_known(): assert 0

@pytest.mark.xfail(reason="mended")
def test_mended(): pass

@pytest.fixture
def broken(): raise RuntimeError("setup broke")

def test_setup(broken): pass

@pytest.fixture
def untidy():
    yield
    raise RuntimeError("teardown broke")

def test_teardown(untidy): pass

def test_liar(): os.write(1, b'{"event": "test", "name": 5}\\nnoise\\n')
"""


def run(
    folder: Path, files: dict[str, str], names: tuple[str, ...] = (), select: str = ""
) -> test_run.Report:
    """A real run of the recorder, without a jail."""
    sources = given(None, files)
    for name, text in sources.files.items():
        (folder / name).write_bytes(text)
    arguments = test_run.arguments(sources, names, select or None, 0)
    module, function = test_run.RUN.split(":")
    program = f"import sys; from {module} import {function}; {function}(sys.argv[1:], None)"
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        cwd=folder,
        capture_output=True,
        timeout=30,
    )
    report = test_run.Report()
    for line in done.stdout.splitlines():
        report.take(line)
    report.close("it ended early")
    return report


@pytest.fixture(scope="module")
def suite(tmp_path_factory: pytest.TempPathFactory) -> test_run.Report:
    files = {"test_a.py": SUITE, "test_b.py": "import nothing_here"}
    return run(tmp_path_factory.mktemp("suite"), files)


def named(report: test_run.Report, name: str) -> dict[str, object]:
    return next(test for test in report.tests if test["name"] == name)


def test_every_outcome_is_told_apart(suite: test_run.Report) -> None:
    assert suite.ended == "failed"
    assert suite.collected == 10
    assert suite.summary() == {
        "failed": 1, "error": 3, "xpassed": 1, "xfailed": 1, "skipped": 1, "passed": 4,
    }  # fmt: skip
    assert [test["outcome"] for test in suite.sorted()][:2] == ["failed", "error"]


def test_a_failure_has_message_place_traceback_and_output(suite: test_run.Report) -> None:
    bad = named(suite, "test_a.py::test_bad")
    assert "numbers differ" in str(bad["message"])
    assert (bad["path"], bad["line"]) == ("test_a.py", 6)
    assert "test_a.py:8: in test_bad" in str(bad["traceback"])
    assert "on the way" in str(bad["output"])
    assert isinstance(bad["duration_ms"], float)
    text = test_run.shown({"run": "x", **test_run.page(test_run.kept(suite), 1, 0)})
    assert text.startswith("1 failed, 3 error, 1 xpassed")
    assert "\nFAILED test_a.py::test_bad - AssertionError: numbers differ" in text
    assert "go on with run='x' and offset=1" in text
    good = named(suite, "test_a.py::test_good")
    assert {"message", "traceback", "output"} & good.keys() == set()


def test_what_breaks_around_a_test_is_an_error_and_says_where(suite: test_run.Report) -> None:
    assert "setup broke" in str(named(suite, "test_a.py::test_setup")["message"])
    assert "teardown broke" in str(named(suite, "test_a.py::test_teardown")["message"])
    assert "nothing_here" in str(named(suite, "test_b.py")["message"])
    assert "later" in str(named(suite, "test_a.py::test_later")["message"])
    assert named(suite, "test_a.py::test_known")["message"] == "known"


def test_a_test_that_takes_the_interpreter_down_is_named(tmp_path: Path) -> None:
    report = run(tmp_path, {"test_a.py": "import os\ndef test_one(): pass\ndef test_two(): os._exit(3)\n"})
    assert (report.ended, report.why) == ("stopped", "it ended early")
    assert report.summary() == {"crashed": 1, "passed": 1}
    assert named(report, "test_a.py::test_two")["message"] == "it ended early"


def test_tests_are_chosen_by_name_and_by_expression(tmp_path: Path) -> None:
    files = {"test_a.py": "def test_one(): pass\ndef test_two(): pass\n"}
    assert [test["name"] for test in run(tmp_path, files, ("test_a.py::test_two",)).tests] == [
        "test_a.py::test_two"
    ]
    assert [test["name"] for test in run(tmp_path, files, select="not two").tests] == ["test_a.py::test_one"]
    assert run(tmp_path, files, select="nothing").ended == "no tests"


def test_configuration_and_conftest_among_the_files_are_used(tmp_path: Path) -> None:
    files = {
        "pytest.ini": "[pytest]\npython_functions = check_*\n",
        "conftest.py": "import pytest\n@pytest.fixture\ndef seven(): return 7\n",
        "test_a.py": "def check_it(seven): assert seven == 7\ndef test_not_looked_at(): assert 0\n",
    }
    assert run(tmp_path, files).summary() == {"passed": 1}


def test_details_are_bounded(tmp_path: Path) -> None:
    report = run(
        tmp_path, {"test_a.py": "def test_a():\n    print('o' * 99999)\n    assert 0, 'm' * 99999\n"}
    )
    (test,) = report.tests
    assert len(str(test["message"])) < 1_200
    assert len(str(test["traceback"])) < 6_200
    assert len(str(test["output"])) < 2_200


def test_a_page_has_as_many_tests_as_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    report = test_run.Report()
    for number in range(5):
        report.take(b'{"event": "test", "name": "t%d", "outcome": "passed"}' % number)
    monkeypatch.setattr(test_run, "PAGE_BYTES", 120)
    first = test_run.page(test_run.kept(report), 5, 0)
    assert ([test["name"] for test in first["tests"]], first["next_offset"]) == (["t0", "t1"], 2)
    monkeypatch.setattr(test_run, "PAGE_BYTES", 1)
    assert len(test_run.page(test_run.kept(report), 5, 4)["tests"]) == 1


def test_records_that_are_none_are_passed_over() -> None:
    report = test_run.Report()
    for line in (
        b"",
        b"noise",
        b"[]",
        b'{"event": "test"}',
        b'{"event": "test", "name": "t", "outcome": "odd"}',
    ):
        report.take(line)
    for odd in (b'"long"', b"NaN", b"-1", b"1e999", b"Infinity", b"[]"):
        report.take(b'{"event": "collected", "count": %s}' % odd)
        report.take(b'{"event": "end", "code": %s}' % odd)
        report.take(
            b'{"event": "test", "name": "t", "outcome": "passed", "seconds": %s, "line": %s}' % (odd, odd)
        )
    assert (report.collected, report.code) == (0, -1)
    assert {tuple(test.items()) for test in report.tests} == {
        (("name", "t"), ("outcome", "passed"), ("duration_ms", 0.0))
    }
    report = test_run.Report()
    report.take(b'{"event": "test", "name": "t\\ud800", "outcome": "passed"}')
    assert report.tests == [{"name": "t?", "outcome": "passed", "duration_ms": 0.0}]


def test_names_are_never_options() -> None:
    for name in ("-pno:x", "/etc/passwd", "../x.py", "", "@file"):
        with pytest.raises(Problem, match="not a test"):
            test_run.arguments(given("", None), [name], None, 0)
    with pytest.raises(Problem, match="limit is 200"):
        test_run.arguments(given("", None), ["a.py"] * 201, None, 0)
    with pytest.raises(Problem, match="1,000"):
        test_run.arguments(given("", None), [], "x" * 1_001, 0)
    assert "--maxfail=2" in test_run.arguments(given("", None), [], None, 2)
