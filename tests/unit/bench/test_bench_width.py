"""The text of a benchmark fits 80 columns, whatever names and numbers there are."""

from __future__ import annotations

from dataclasses import replace

from benchmarks import benchmark, phase
from hypothesis import given, settings
from hypothesis import strategies as st

from omnimind.bench import text
from omnimind.bench.report import Health, Machine, Tokens
from omnimind.cli.terminal import printable
from omnimind.monitor.histogram import Histogram
from omnimind.monitor.report import Calls
from omnimind.pictures.columns import width
from omnimind.stress.usage import Use

NAMES = st.text(min_size=1, max_size=120) | st.sampled_from(["伺服器" * 20, "x" * 200, "a b\x1b[31m\n" * 9])
LINES = st.lists(NAMES, max_size=3).map(tuple)
COUNTS = st.integers(0, 10**12)
TOKENS = st.builds(Tokens, COUNTS, COUNTS, COUNTS)
BYTES = st.integers(0, 1 << 40)
USES = st.lists(
    st.builds(Use, NAMES, st.floats(0, 1e5), BYTES, BYTES, BYTES, st.none() | BYTES, st.integers(1, 9999)),
    max_size=3,
)
MACHINE = st.builds(Machine, st.integers(1, 9999), NAMES, NAMES, BYTES, st.none() | NAMES, st.booleans())


@settings(max_examples=30)
@given(st.data())
def test_every_line_fits(data: st.DataObject) -> None:
    names = data.draw(st.lists(NAMES, max_size=3, unique=True).map(tuple), "names")
    factor = data.draw(st.sampled_from([0.01, 1.0, 5000.0]), "factor")
    many = data.draw(COUNTS, "calls")
    one = phase("open 70 %", factor, names=names, sent=many, right=many // 2, throughput_per_s=float(many))
    assert one.kernel is not None
    slow = Calls(Histogram({(50_000, 60_000): many}), high=many)
    kernel = replace(one.kernel, places={**one.kernel.places, data.draw(NAMES, "port"): slow})
    gateway = replace(one.gateway, places={**one.gateway.places, data.draw(NAMES, "place"): slow})
    client = replace(one.client, uses=data.draw(USES, "uses"))
    found = benchmark(
        phases=(replace(one, client=client, gateway=gateway, kernel=kernel),) * 2,
        machine=data.draw(MACHINE, "machine"),
        fleet=data.draw(NAMES, "fleet"),
        health=Health(many, many, many, data.draw(TOKENS, "shipped"), data.draw(TOKENS, "compressing")),
        advice=data.draw(LINES, "advice"),
        notes=data.draw(LINES, "notes"),
        concurrency=many,
        interrupted=True,
    )
    for line in printable(text.render(found)).splitlines():
        assert width(line) <= 80, line
