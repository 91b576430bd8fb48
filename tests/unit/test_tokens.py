"""Principals, tokens and keys: what is on disk, who may read it, what survives two writers."""

from __future__ import annotations

import hashlib
import json
import os
import stat
import threading
from pathlib import Path

import pytest

from omnimind import tokens
from omnimind.errors import StateError


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_the_first_run_makes_the_local_operator_and_a_key(state: Path) -> None:
    tokens.ensure(state)
    (local,) = tokens.principals(state)
    assert (local.name, local.role, local.tenant) == ("local", "operator", "local")
    token = tokens.local_token(state)
    assert local.sha256 == hashlib.sha256(token.encode()).hexdigest()
    assert len(token.removeprefix("om_")) == 43  # 256 bits
    (key,) = tokens.key_ring(state)
    assert len(bytes.fromhex(key)) == 32


def test_every_file_is_private_and_the_token_of_others_is_nowhere(state: Path) -> None:
    token = tokens.add(state, "ada")
    assert mode(state) == 0o700
    for path in state.iterdir():
        assert mode(path) == 0o600, path
        assert token not in path.read_text()


def test_a_second_run_changes_nothing(state: Path) -> None:
    tokens.ensure(state)
    before = {path.name: path.read_bytes() for path in state.iterdir()}
    tokens.ensure(state)
    assert {path.name: path.read_bytes() for path in state.iterdir()} == before


def test_a_lost_token_file_gives_local_a_new_token(state: Path) -> None:
    tokens.ensure(state)
    old = tokens.local_token(state)
    (state / "token").unlink()
    tokens.ensure(state)
    assert tokens.local_token(state) != old
    assert (
        tokens.principals(state)[0].sha256 == hashlib.sha256(tokens.local_token(state).encode()).hexdigest()
    )


def test_a_principal_is_added_renewed_and_removed(state: Path) -> None:
    first = tokens.add(state, "ada", role="operator", tenant="lab", class_="background")
    ada = tokens.principals(state)[1]
    assert ada.as_json() == {
        "name": "ada",
        "sha256": hashlib.sha256(first.encode()).hexdigest(),
        "tenant": "lab",
        "class": "background",
        "role": "operator",
    }
    second = tokens.renew(state, "ada")
    assert second != first
    assert tokens.principals(state)[1].sha256 == hashlib.sha256(second.encode()).hexdigest()
    tokens.remove(state, "ada")
    assert [principal.name for principal in tokens.principals(state)] == ["local"]


def test_the_local_token_is_renewed_in_its_file_too(state: Path) -> None:
    tokens.ensure(state)
    assert tokens.renew(state, "local") == tokens.local_token(state)


@pytest.mark.parametrize("name", ["", "*", "a b", "../x", "-x", "x" * 65, "a\nb"])
def test_a_name_that_could_confuse_is_refused(state: Path, name: str) -> None:
    with pytest.raises(StateError) as caught:
        tokens.add(state, name)
    assert caught.value.code == "OM0301"


def test_names_are_added_once_and_unknown_ones_get_a_suggestion(state: Path) -> None:
    tokens.add(state, "grace")
    with pytest.raises(StateError, match="exists already"):
        tokens.add(state, "grace")
    with pytest.raises(StateError) as caught:
        tokens.remove(state, "grce")
    assert caught.value.help == "did you mean grace?"
    with pytest.raises(StateError, match="local cannot be removed"):
        tokens.remove(state, "local")


@pytest.mark.parametrize("name", ["token", "tokens.json", "keys.json"])
def test_a_file_that_others_may_read_is_refused(state: Path, name: str) -> None:
    tokens.ensure(state)
    (state / name).chmod(0o644)
    with pytest.raises(StateError) as caught:
        tokens.ensure(state)
    assert caught.value.code == "OM0302"
    assert "chmod 600" in (caught.value.help or "")


@pytest.mark.parametrize("name", ["token", "tokens.json", "keys.json"])
def test_a_link_or_a_pipe_in_place_of_a_file_is_refused(state: Path, name: str) -> None:
    tokens.ensure(state)
    content = (state / name).read_bytes()
    (state / name).unlink()
    elsewhere = state.parent / "elsewhere"
    elsewhere.write_bytes(content)
    (state / name).symlink_to(elsewhere)
    with pytest.raises(StateError):
        tokens.ensure(state)
    (state / name).unlink()
    os.mkfifo(state / name, 0o600)
    with pytest.raises(StateError):
        tokens.ensure(state)


def test_a_state_folder_that_others_may_write_is_refused(state: Path) -> None:
    state.mkdir()
    state.chmod(0o777)
    with pytest.raises(StateError) as caught:
        tokens.ensure(state)
    assert caught.value.code == "OM0205"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("tokens.json", "{"),
        ("tokens.json", "[]"),
        ("tokens.json", '{"version": 2, "tokens": []}'),
        ("tokens.json", '{"version": 1, "tokens": {}}'),
        ("tokens.json", '{"version": 1, "tokens": [3]}'),
        ("tokens.json", '{"version": 1, "tokens": [{"name": "a", "sha256": "00"}]}'),
        (
            "tokens.json",
            '{"version": 1, "tokens": [{"name": "a", "sha256": "%s", "role": "root"}]}' % ("0" * 64),
        ),
        ("tokens.json", '{"version": 1, "tokens": [{"name": "a", "sha256": "%s", "class": 3}]}' % ("0" * 64)),
        ("tokens.json", "[" * 100_000),
        ("keys.json", '{"version": 1, "keys": ["00"]}'),
        ("keys.json", '{"version": 1, "keys": [3]}'),
        ("keys.json", "\udcff"),
    ],
)
def test_a_damaged_file_is_an_error_and_is_left_alone(state: Path, name: str, content: str) -> None:
    tokens.ensure(state)
    (state / name).write_text(content, errors="surrogateescape")
    with pytest.raises(StateError) as caught:
        tokens.ensure(state)
    assert caught.value.code == "OM0302"
    assert (state / name).read_bytes() == content.encode(errors="surrogateescape")


def test_one_token_for_two_names_is_refused(state: Path) -> None:
    tokens.ensure(state)
    rows = json.loads((state / "tokens.json").read_text())
    rows["tokens"].append({**rows["tokens"][0], "name": "twin"})
    (state / "tokens.json").write_text(json.dumps(rows))
    with pytest.raises(StateError, match="twice"):
        tokens.principals(state)


def test_writers_at_once_lose_nothing(state: Path) -> None:
    names = [f"user{number}" for number in range(12)]
    threads = [threading.Thread(target=tokens.add, args=(state, name)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(principal.name for principal in tokens.principals(state)) == sorted([*names, "local"])
    assert sorted(path.name for path in state.iterdir()) == ["keys.json", "token", "tokens.json"]
