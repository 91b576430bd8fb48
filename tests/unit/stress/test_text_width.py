"""The text of a stress test fits 80 columns, whatever names and numbers there are."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st
from reports import part, report

from omnimind.cli.terminal import printable
from omnimind.pictures.columns import width
from omnimind.stress import text
from omnimind.stress.chaos import Kill
from omnimind.stress.usage import Use

NAMES = st.text(min_size=1, max_size=120) | st.sampled_from(["伺服器" * 20, "x" * 200, "a b\x1b[31m\n" * 9])
COUNTS = st.integers(0, 10**12)
TIMES = st.fixed_dictionaries(
    {key: st.floats(0, 999_999) for key in ("mean", "p50", "p90", "p99", "p99.9", "max")}
)
BYTES = st.integers(0, 1 << 40)
PARTS = st.lists(
    st.builds(
        lambda name, calls, per_s, ms: part(
            name, calls=calls, right=calls // 2, throughput_per_s=per_s, latency_ms=ms
        ),
        NAMES,
        COUNTS,
        st.floats(0, 1e8),
        TIMES,
    ),
    min_size=1,
    max_size=4,
)
USES = st.lists(
    st.builds(Use, NAMES, st.floats(0, 1e5), BYTES, BYTES, BYTES, st.none() | BYTES, st.integers(1, 9999))
)
KILLS = st.lists(st.builds(Kill, NAMES, COUNTS, st.floats(0, 1e6), st.none() | st.floats(0, 1e6)), max_size=3)


@given(st.data())
def test_every_line_fits(data: st.DataObject) -> None:
    parts = {key: data.draw(PARTS, key) for key in ("phases", "tools", "servers", "eras")}
    counts = {
        key: data.draw(COUNTS, key)
        for key in ("sent", "right", "wrong", "measured", "waited_for_a_place", "unsent")
    }
    words = {key: data.draw(st.lists(NAMES, max_size=3), key) for key in ("samples", "saturated_by")}
    ms = {key: data.draw(TIMES, key) for key in ("latency_ms", "lag_ms")}
    errors = data.draw(st.dictionaries(NAMES, COUNTS, max_size=3), "errors")
    found = report(
        **parts,
        **counts,
        **words,
        **ms,
        errors=errors,
        refusal_ms=dict.fromkeys(errors, ms["lag_ms"]),
        saturated=True,
    )
    plan = {**found.plan, "url": data.draw(NAMES, "url")}
    shown = text.render(
        replace(
            found, plan=plan, uses=data.draw(USES, "uses"), kills=data.draw(KILLS, "kills"), interrupted=True
        )
    )
    for line in printable(shown).splitlines():
        assert width(line) <= 80, line
