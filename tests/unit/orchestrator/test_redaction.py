"""Secrets never reach a log, whatever a program makes of them; what is no secret stays readable."""

from __future__ import annotations

import json
import time
from pathlib import Path
from types import MappingProxyType
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omnimind import settings
from omnimind.logfiles.redact import MARK, SHORTEST, Redactor, secrets_of
from omnimind.settings import ServerSettings

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U"
LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"


@pytest.mark.parametrize(
    ("line", "secret"),
    [
        ("token om_" + "a" * 43, "a" * 43),
        ("Authorization: Bearer abcdef123456", "abcdef123456"),
        ("authorization: basic dXNlcjpwYXNz", "dXNlcjpwYXNz"),
        ("using ghp_" + "x1" * 18, "x1x1"),
        ("using github_pat_" + "x1" * 18, "x1x1"),
        ("OPENAI sk-proj-" + "x1" * 18, "x1x1"),
        ("id AKIAIOSFODNN7EXAMPLE", "IOSFODNN7"),
        (f"jwt={JWT}", "eyJ"),
        ("postgres://bob:hunter2@db/x", "hunter2"),
        ("redis://:hunter2@db/x", "hunter2"),
        ("xoxb-1234567890-abcdefghij", "1234567890"),
        ("--api-key=abc123def456 --verbose", "abc123def456"),
        ('{"password": "correct1horse"}', "correct1horse"),
        ("-----BEGIN RSA PRIVATE KEY-----MIIEpAIB-----END RSA PRIVATE KEY----- after", "MIIEpAIB"),
        ("https://x/cb?access_token=abc123def456&x=1", "abc123def456"),
    ],
)
def test_secrets_are_known_by_their_form(line: str, secret: str) -> None:
    clean = Redactor().line(line)
    assert secret not in clean
    assert MARK in clean


@pytest.mark.parametrize(
    "line",
    [
        "listening on http://127.0.0.1:4325/mcp",
        "max_tokens: 100000, tokens left: 12",
        "SyntaxError: unexpected token: identifier",
        "the bearer of bad news arrived",
        "KeyError: 'GITHUB_TOKEN'",
        "task-runner 1.2.3 at /usr/lib/python3/site-packages",
        "git@github.com:owner/repo",
        "error[OM0107]: port 4325 is held by node (pid 4121)",
        "0123456789abcdef0123456789abcdef",
    ],
)
def test_ordinary_lines_stay_as_they_are(line: str) -> None:
    assert Redactor().line(line) == line


secrets = st.text(alphabet=LETTERS + "+/=_-.!\"'\\% é", min_size=8, max_size=40).filter(
    lambda text: len(text.strip()) >= 8 and any(c.isalpha() for c in text.strip())
)


@given(secrets, st.text(max_size=30), st.text(max_size=30))
def test_a_configured_secret_is_found_in_every_spelling(secret: str, before: str, after: str) -> None:
    secret = secret.strip()
    redactor = Redactor([secret])
    if redactor.longest == 0:
        return  # a word such as "localhost"
    for spelling in (secret, json.dumps(secret)[1:-1], repr(secret)[1:-1], quote(secret, safe="")):
        clean = redactor.line(before + spelling + after)
        assert spelling not in clean.replace(MARK, "")


def test_each_line_of_a_longer_secret_is_one() -> None:
    redactor = Redactor(["first-line-of-it\nsecond-line-of-it\n"])
    assert redactor.line("it says second-line-of-it!") == f"it says {MARK}!"


@pytest.mark.parametrize(
    "value", ["", "abc", "12345678", "127.0.0.1:80", "true", "localhost", "x" * (SHORTEST - 1)]
)
def test_what_would_be_found_everywhere_is_no_secret(value: str) -> None:
    assert Redactor([value]).line(f"x {value} y") == f"x {value} y"


def test_a_private_key_is_taken_out_over_its_lines() -> None:
    line = Redactor().stream()
    key = ["-----BEGIN PRIVATE KEY-----", "MIIEvQIBADANBgkqhkiG", "9w0BAQEFAASC", "-----END PRIVATE KEY-----"]
    assert [line(text) for text in key] == [MARK] * 4
    assert line("after") == "after"


def test_a_key_that_never_ends_hides_a_bounded_number_of_lines() -> None:
    line = Redactor().stream()
    line("-----BEGIN PRIVATE KEY-----")
    seen = [line("a line") for _ in range(1000)]
    assert seen[-1] == "a line"


def test_what_the_configuration_says_is_a_secret(tmp_path: Path) -> None:
    server = ServerSettings(
        name="x",
        kind="stdio",
        env=MappingProxyType(
            {"GITHUB_TOKEN": "s3cret-one", "MODE": "production", "KEY_FILE": str(tmp_path)},
        ),
        headers=MappingProxyType({"Authorization": "Bearer s3cret-two"}),
        secrets=("s3cret-three", str(tmp_path)),
    )
    assert sorted(secrets_of(server)) == ["s3cret-one", "s3cret-three", "s3cret-two"]


def test_what_references_yield_is_known_to_be_secret(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("from-a-file\n")
    entry = {
        "command": "x",
        "args": ["--t=${env:T}", "plain"],
        "env": {"A": "${file:key}", "B": "pre-${U:-by-default}", "C": "${userHome}", "D": "$${env:T}"},
    }
    path = tmp_path / "mcp_servers.json"
    path.write_text(json.dumps({"mcpServers": {"x": entry, "off": {**entry, "enabled": False}}}))
    found = settings.load(path, tmp_path, environ={"T": "from-the-environment"})
    assert set(secrets_of(found.servers[0])) == {"from-the-environment", "from-a-file", "by-default"}
    assert found.servers[1].secrets == ()


@pytest.mark.alone
@pytest.mark.parametrize("piece", ["a-", "a", "token=", "://a:", 'secret"=', "bearer ", "eyJaaaaaaaaaa."])
def test_no_line_takes_long(piece: str) -> None:
    """Quadratic time would be seconds for the first of these."""
    line = piece * (8192 // len(piece))
    began = time.perf_counter()
    Redactor().line(line)
    assert time.perf_counter() - began < 0.5
