"""The report pages in a real Chromium, wide and narrow, light and dark: nothing is loaded, all can be read.

Looked at are the page of a real, short run, and the worst that can be in one; the real benchmark's is looked at where
it is run (`test_bench`). Without a browser these tests are skipped, and say so: `apt-get install chromium`.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from benches import load
from omnimind.bench import page as bench_page
from omnimind.errors import Exit
from omnimind.stress import page as stress_page
from omnimind.stress.chaos import Kill
from omnimind.stress.usage import Use
from tests import chromium
from tests.page_faults import KEPT, WIDTHS, faults
from tests.unit.bench import benchmarks
from tests.unit.stress import reports

pytestmark = [
    pytest.mark.timeout(180),
    chromium.needed,
]

EVIL = '<script>alert("1")</script><img src=x onerror=alert(2)>'
LONG = (*(f"a-server-with-quite-a-long-name-{'x' * 20}-{number:02}" for number in range(39)), "伺服器" * 8)


@pytest.fixture(scope="module")
def browser() -> Iterator[chromium.Chromium]:
    with chromium.Chromium() as running:
        yield running


def test_a_page_with_every_fault_is_found_out(browser: chromium.Chromium, tmp_path: Path) -> None:
    bad = tmp_path / "bad.html"
    bad.write_text(
        """<!doctype html>
        <meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
        <body style="background: #fff; margin: 0"><div style="width: 2000px">wide</div><p style="color: #ddd">pale</p>
        <table><tr><td style="font-size: 5px; color: #000">small</td>
        <td style="display: block; width: 20px; overflow: hidden; white-space: nowrap">cut off words</td></tr></table>
        <svg width="300" height="100" viewBox="0 0 300 100"><text x="290" y="50">outside of it</text>
        <text x="10" y="20">one on</text><text x="14" y="22">another</text></svg>
        <img src="http://127.0.0.1:9/x.png"><script>console.error("no")</script>"""
    )
    said = "\n".join(faults(browser, bad))
    for fault in (
        "1280 light: the body is 2000 wide",
        "390 dark: the body is 2000 wide",
        'pale words: "pale"',
        'small words: "small"',
        'cut words: "cut off words"',
        'words outside their picture: "outside of it"',
        'words on words: "one on" and "another"',
        "it says security: Loading the image",
        "it says security: Executing inline script",
    ):
        assert fault in said
    for width in WIDTHS:
        for name in ("light", "dark"):
            (KEPT / f"bad-{width}-{name}.png").unlink()


def test_the_page_of_a_real_stress_test(browser: chromium.Chromium, tmp_path: Path) -> None:
    file = tmp_path / "stress.html"
    call = ["--tool", "echo", "--arguments", '{"text": "$CANARY"}']
    words = ["--rate", "300", "--duration", "2", "--warmup", "0", "--profile", "spike", "--html", file]
    with load.Upstream() as server:
        command = [sys.executable, "-m", "omnimind", "stress", "--url", server.url, *call, *words]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == Exit.OK, done.stderr
    assert faults(browser, file) == []
    assert browser.value('document.querySelectorAll("svg").length') == 3


WORST_STRESS = {
    "nothing": reports.report(right=0, curve=[], timeline=[], errors={"connect": 10**9}, refusal_ms={}),
    "one call": reports.report(
        curve=[[0.0, 0.004], [100.0, 0.004]], timeline=[reports.moment(0.0)], phases=[reports.part("all")]
    ),
    "many": replace(
        reports.report(
            tools=[
                reports.part(f"{name}__a_tool", calls=10**9, errors={"rpc_42901": 5, EVIL: 10**9})
                for name in LONG
            ],
            servers=[reports.part(name) for name in LONG],
            phases=[
                reports.part(f"{10 * step} %", length_s=60.0, offered_per_s=1e6) for step in range(1, 11)
            ],
            timeline=[reports.moment(at, failed=at % 7) for at in range(600)],
            samples=[EVIL, "x" * 300],
            saturated_by=[EVIL],
            sent=10**12,
        ),
        plan={**reports.report().plan, "url": f"http://{'long.' * 30}example/{EVIL}"},
        uses=[Use(name, 1e5, 1 << 40, 1 << 40, 1 << 40, 1 << 40, 10**6) for name in LONG],
        kills=[Kill(name, 1, 1e5, None) for name in LONG],
    ),
}


@pytest.mark.parametrize("name", WORST_STRESS)
def test_the_worst_pages_of_a_stress_test(browser: chromium.Chromium, tmp_path: Path, name: str) -> None:
    file = tmp_path / f"stress {name}.html"
    file.write_text(stress_page.render(WORST_STRESS[name]))
    assert faults(browser, file) == []


WORST_BENCH = {
    "nothing": benchmarks.benchmark(phases=(), health=None, advice=(), interrupted=True),
    "no answer": benchmarks.benchmark(
        phases=(benchmarks.phase("open 70 %", right=0, curve=[], timeline=[], errors={"connect": 1000}),)
    ),
    "many": benchmarks.benchmark(
        phases=tuple(
            benchmarks.phase(name, factor, names=LONG, samples=[EVIL], saturated_by=["it was late" * 20])
            for name, factor in (("closed", 3000.0), ("open 50 %", 0.01), ("open 70 %", 1.0), (EVIL, 30.0))
        ),
        fleet=EVIL,
        advice=tuple(f"{name}: {'word ' * 60}" for name in LONG[:6]),
        notes=(EVIL, "x" * 400),
    ),
}


@pytest.mark.parametrize("name", WORST_BENCH)
def test_the_worst_pages_of_a_benchmark(browser: chromium.Chromium, tmp_path: Path, name: str) -> None:
    file = tmp_path / f"bench {name}.html"
    file.write_text(bench_page.render(WORST_BENCH[name]))
    assert faults(browser, file) == []
