"""What install_package may do: nothing unless allowed, wheels of the operator's index only, all or nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from omnimind.servers.problem import Problem
from omnimind.servers.python import install
from omnimind.servers.python.install import Environment, Settings


def test_it_is_off_unless_the_operator_says_otherwise_and_where_from() -> None:
    off, rest = install.settings(["/folder", "--other"])
    assert rest == ["/folder", "--other"]
    with pytest.raises(Problem, match="--allow-install"):
        off.refuse()
    with pytest.raises(Problem, match="--index=URL"):
        install.settings(["--allow-install"])[0].refuse()
    with pytest.raises(Problem, match="not enabled"):
        install.settings(["--index=https://index.example/simple"])[0].refuse()
    on, _ = install.settings(["--allow-install", "--find-links=/wheels"])
    on.refuse()
    assert not on.network
    assert install.settings(["--allow-install", "--index=https://index.example/simple"])[0].network
    for wrong in (["--index=/etc"], ["--index=https://a/b", "--find-links=/c"]):
        with pytest.raises(ValueError, match=r"index"):
            install.settings(wrong)


@pytest.mark.parametrize(
    "requirement",
    ["numpy", "httpx>=0.27,<1", "a-b_c.d[x,y] == 1.0.*", "x~=1.2", " spaced ", "x!=1!2.0+local"],
)
def test_names_with_versions_are_taken(requirement: str) -> None:
    assert install.checked([requirement]) == [requirement.strip()]


@pytest.mark.parametrize(
    "requirement",
    [
        "--index-url=https://evil.example", "-r/etc/passwd", "./wheel.whl", "/abs/x", "x @ https://evil.example/x.whl",
        "git+https://evil.example/x", "x.whl", "x.tar.gz", "", "x;python_version>'3'", "x\n--pre", "x==1 --pre", "é",
    ],
)  # fmt: skip
def test_addresses_paths_options_and_archives_are_refused(requirement: str) -> None:
    with pytest.raises(Problem, match="not a requirement"):
        install.checked([requirement])


def test_the_number_of_requirements_is_limited() -> None:
    for many in ([], ["x"] * 21):
        with pytest.raises(Problem, match="give 1 to 20"):
            install.checked(many)


def test_pip_takes_wheels_only_and_asks_nobody_but_the_given_place() -> None:
    asked = install.arguments(Settings(True, "https://index.example/simple"), ["x"], "/target")
    assert {"--only-binary=:all:", "--isolated", "--index-url=https://index.example/simple"} <= set(asked)
    assert asked[-2:] == ["--", "x"]
    local = install.arguments(Settings(True, links="/wheels"), ["x"], "/target")
    assert {"--no-index", "--find-links=/wheels"} <= set(local)
    assert not any("index-url" in option for option in local)


def made(folder: Path) -> Path:
    """A folder as an install leaves it."""
    new = folder / "out"
    new.mkdir()
    (new / "module.py").write_bytes(b"x" * 100)
    return new


def test_an_environment_is_the_one_before_until_the_next_is_complete(tmp_path: Path) -> None:
    environment = Environment(tmp_path / "packages")
    assert environment.current() is None
    first = environment.adopt(made(tmp_path), environment.requirements(["Some.Thing", "other==1"]))
    assert environment.current() == first
    assert (first / "module.py").exists()
    assert environment.requirements(["some-thing>2"]) == ["some-thing>2", "other==1"]
    second = environment.adopt(made(tmp_path), ["x"])
    assert first.exists(), "what still runs with the folder before can go on importing"
    third = environment.adopt(made(tmp_path), ["x"])
    assert environment.current() == third
    assert second.exists()
    assert not first.exists()


def test_an_environment_has_limits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    environment = Environment(tmp_path / "packages")
    monkeypatch.setattr(install, "FOLDER_BYTES", 99)
    with pytest.raises(Problem, match="100 bytes together; the limit is 99"):
        environment.adopt(made(tmp_path), ["x"])
    assert environment.current() is None
    with pytest.raises(Problem, match="more than 100 packages"):
        environment.requirements([f"x{number}" for number in range(101)])


def test_a_damaged_note_of_the_current_environment_is_no_environment(tmp_path: Path) -> None:
    (tmp_path / "state.json").write_text("{")
    assert Environment(tmp_path).current() is None


def test_what_pip_says_is_told_without_the_operators_address() -> None:
    secret = "https://user:pass@index.example/simple"
    said = f"WARNING: x\nLooking in indexes: {secret}\nERROR: No matching distribution found for nope\n"
    text = str(install.failure(Settings(True, secret), said))
    assert secret not in text
    assert "No matching distribution found for nope" in text
    assert "Only wheels" in text
