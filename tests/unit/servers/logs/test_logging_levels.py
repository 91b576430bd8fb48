"""Levels are read where programs put them, and not invented where there are none."""

from __future__ import annotations

import json

import pytest

from omnimind.servers.logging.levels import level_of


@pytest.mark.parametrize(
    ("line", "level"),
    [
        ("ERROR omnimind.worker: it broke", "error"),
        ("WARNING:root:careful", "warning"),
        ("2026-11-22 10:00:00,123 - my.module - CRITICAL - gone", "critical"),
        ("2026-11-22T10:00:00.123456Z  WARN hyper::proto: slow", "warning"),
        ("[2026-11-22 10:00:00] [error] [pid 12] client denied", "error"),
        ("[INFO] started", "info"),
        ("INFO:     127.0.0.1:40222 - GET / 200", "info"),
        ("10:00:00 | DEBUG | cache: hit", "debug"),
        ("<3>out of memory", "error"),
        ("<165>notice of facility 20", "notice"),
        ("E1122 10:00:00.000000 12 main.go:1] broken", "error"),
        ("Nov 22 10:00:00 host prog[12]: error: no such file", "error"),
        ("ts=2026-11-22 level=warn msg=slow", "warning"),
        ('{"level":"fatal","msg":"x"}', "critical"),
        ('{"severity":"NOTICE","message":"x"}', "notice"),
        ('{"level":50,"msg":"pino"}', "error"),
        ('{"PRIORITY":"x","level":3}', "error"),
        ("panic: runtime error", "emergency"),
        ("mod: TRACE entered", "debug"),
        ("LOG:  database system is ready", "info"),
    ],
)
def test_a_level_is_read(line: str, level: str) -> None:
    assert level_of(line) == level


@pytest.mark.parametrize(
    "line",
    [
        "",
        "Traceback (most recent call last):",
        "there was no ERROR at all",
        "the warning: signs were there",
        "errors=0 warnings=0",
        "information about levels",
        "https://example.org/error/critical",
        '{"msg":"ERROR"}',
        '{"level":true}',
        "[not closed ERROR",
        "127.0.0.1 - - GET /error 200",
        "alerting is on",
    ],
)
def test_what_says_no_level_has_none(line: str) -> None:
    assert level_of(line) == "unknown"


@pytest.mark.parametrize("piece", ["[", "a: ", "{", "- ", "1:", "(x) ", "error", '{"a":', "<1", "[a] "])
def test_no_line_takes_long(piece: str) -> None:
    assert level_of(piece * 4000)


def test_deep_json_is_not_followed() -> None:
    assert level_of("{" + '"a":{' * 3000) == "unknown"
    assert level_of(json.dumps({"deep": {"level": "error"}})) == "unknown"
