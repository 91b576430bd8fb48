"""The `.bt` files, and the programs that are made of them."""

from __future__ import annotations

import pytest

from omnimind import catalog
from omnimind.monitor import program
from omnimind.monitor.needs import Kernel, Variant, Version
from omnimind.monitor.program import Watch, build, source
from tests.fleet import ROOT

PORTS = [catalog.GATEWAY_PORT, *(builtin.port for builtin in catalog.BUILTINS)]
LOW, HIGH = min(PORTS), max(PORTS)


def kernel(version: Version = (0, 23, 2), variant: Variant = "tracepoints") -> Kernel:
    return Kernel("bpftrace", version, variant)


def probes(name: str) -> str:
    text = source(name)
    return text[text.index("*/") :].partition("/* From here on:")[0]


def test_the_documents_script_is_the_packaged_probe() -> None:
    script = ROOT / "scripts" / "canonical" / "system" / "monitor_mcp_bpf.bt"
    assert script.read_text() == source("latency.bt")


def test_the_files_name_the_catalogues_ports_and_no_other() -> None:
    assert sorted(PORTS) == list(range(LOW, HIGH + 1))
    for name in ("latency.bt", "latency_017.bt", "latency_kprobe.bt"):
        tests = source(name).count(f">= {LOW} && ")
        assert tests == source(name).count(f"<= {HIGH}") == 4


def test_the_file_for_017_has_the_same_probes() -> None:
    counted = probes("latency.bt").replace("@calls = count()", "@calls[cpu]++")
    assert counted.replace("@high = count()", "@high[cpu]++") == probes("latency_017.bt")


def test_the_kprobes_count_as_the_tracepoints_do() -> None:
    """What is done with a reply, and at a close, is the same text but for the name of the socket."""
    reply = probes("latency.bt").partition("$read = (int64)")[2].partition("/* 7 is")[0]
    assert reply.replace("args->sk", "$sk") in probes("latency_kprobe.bt")


def test_any_ports_can_be_watched() -> None:
    text = build(Watch((9, 4000, 8, 4001, 70)), kernel(), LOW, HIGH)
    assert "(($port >= 8 && $port <= 9) || ($port >= 70 && $port <= 70) || ($port >= 4000 &&" in text
    assert text.count("(($port >= 8 && $port <= 9) ||") == 4
    assert str(LOW) not in text
    assert "From here on" not in text
    assert "stdin_read" not in text


def test_a_file_without_the_test_of_ports_is_an_error() -> None:
    with pytest.raises(ValueError, match="do not test the ports"):
        build(Watch((9,)), kernel(), LOW + 1, HIGH)


def test_fine_histograms_only_where_they_are_right() -> None:
    fine, coarse = (build(Watch((9,), (1,)), kernel(v), LOW, HIGH) for v in ((0, 23, 0), (0, 22, 9)))
    assert fine.count(", 5);") == 4
    assert ", 5);" not in coarse
    assert fine.replace(" / 1000, 5)", " / 1000)").replace("($us, 5)", "($us)") == coarse


def test_processes_are_watched_from_the_start() -> None:
    text = build(Watch((), (12, 34), 3), kernel(), LOW, HIGH)
    assert "\t@watched[12] = 1;\n\t@watched[34] = 1;\n" in text
    assert "interval:s:3" in text
    assert "sock_send_length" not in text
    assert f'printf("{program.READING}\\n");\n\tprint(@stdio);' in text


def test_older_kernels_get_kprobes() -> None:
    text = build(Watch((9,)), kernel(variant="kprobes"), LOW, HIGH)
    assert "kretprobe:tcp_recvmsg" in text
    assert "clear(@receiving);" in text
