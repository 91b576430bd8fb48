"""The gateway's histograms as calls: those of every tool, or the one of older gateways."""

from __future__ import annotations

from omnimind.monitor import gateway

NAME = "mcp_server_operation_duration_seconds"
LABELS = 'server="memory",method="tools/call",tool="add \\"x\\"",era="modern"'
BY_TOOL = f"""\
# TYPE {NAME} histogram
{NAME}_bucket{{{LABELS},outcome="ok",cache="miss",le="0.01"}} 3
{NAME}_bucket{{{LABELS},outcome="ok",cache="miss",le="0.05"}} 5
{NAME}_bucket{{{LABELS},outcome="ok",cache="miss",le="0.1"}} 6
{NAME}_bucket{{{LABELS},outcome="ok",cache="miss",le="+Inf"}} 8
{NAME}_bucket{{{LABELS},outcome="ok",cache="hit",le="0.01"}} 10
{NAME}_bucket{{{LABELS},outcome="ok",cache="hit",le="0.05"}} 10
{NAME}_bucket{{{LABELS},outcome="ok",cache="hit",le="0.1"}} 10
{NAME}_bucket{{{LABELS},outcome="ok",cache="hit",le="+Inf"}} 10
{NAME}_bucket{{server="memory",method="tools/list",tool="",era="modern",le="+Inf"}} 1
{NAME}_count{{{LABELS}}} 18
omnimind_response_head_seconds_bucket{{le="+Inf"}} 99
"""
ONE = """\
omnimind_response_head_seconds_bucket{le="0.032768"} 4
omnimind_response_head_seconds_bucket{le="0.065536"} 6
omnimind_response_head_seconds_bucket{le="+Inf"} 7
omnimind_response_head_seconds_sum 1.5
"""


def test_tools_are_told_apart_and_their_outcomes_added() -> None:
    found = gateway.reading(BY_TOOL)
    tool = found.places['memory add \\"x\\"']
    assert tool.total.calls == 18
    assert tool.total.counts[(0, 10_000)] == 13
    assert tool.high == 3
    assert found.places["memory tools/list"].total.calls == 1
    source = gateway.source(BY_TOOL)
    assert (source.high_from_us, source.notes) == (50_000, ())


def test_one_histogram_says_that_it_has_no_bound_at_50_ms() -> None:
    found = gateway.reading(ONE).places["gateway"]
    assert (found.total.calls, found.high) == (7, 1)
    source = gateway.source(ONE)
    assert source.clock == "gateway"
    assert source.high_from_us == 65_536
    assert "65.536 ms" in source.notes[0]


def test_a_gateway_that_counted_nothing_yet() -> None:
    assert gateway.reading("").places == {}
