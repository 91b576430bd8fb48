"""Where nothing can be written over, a line of progress comes now and then."""

from __future__ import annotations

import pytest
from reports import MS, plan

from omnimind.cli.stress import Progress


def test_without_a_terminal_a_line_comes_every_ten_seconds(capsys: pytest.CaptureFixture[str]) -> None:
    now_s = 0.0
    show = Progress(plan(), clock=lambda: now_s)
    for tenth in range(1, 251):
        now_s = tenth / 10
        show(
            {
                "elapsed_s": now_s,
                "right": 10 * tenth,
                "failed": 3,
                "latency_ms": MS,
                "lag_ms": {**MS, "p99": 0.1},
            }
        )
    show.end()
    assert capsys.readouterr().err.splitlines() == [
        "10/12 s  100/s  p50 2.100 p99 41.25 ms  3 failed",
        "20/12 s  100/s  p50 2.100 p99 41.25 ms  3 failed",
    ]


def test_a_label_says_what_it_is_the_progress_of(capsys: pytest.CaptureFixture[str]) -> None:
    now_s = 0.0
    show = Progress(plan(), "open 50 %", clock=lambda: now_s)
    now_s = 10.0
    show({"elapsed_s": 10.0, "right": 5, "failed": 0, "latency_ms": MS, "lag_ms": {**MS, "p99": 0.1}})
    assert capsys.readouterr().err.startswith("open 50 %  10/12 s ")
