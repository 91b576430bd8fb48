"""Profiles as phases, and a plan as the generator reads it."""

from __future__ import annotations

import json

import pytest
from reports import plan

from omnimind._core import LoadRun
from omnimind.stress.mix import Call, Mix, Principal
from omnimind.stress.plan import PROFILES, phases


@pytest.mark.parametrize("profile", PROFILES)
def test_a_profile_fills_its_time(profile: str) -> None:
    found = phases(profile, 30.0)  # type: ignore[arg-type]
    assert sum(phase.duration_s for phase in found) == pytest.approx(30.0)
    assert len({phase.name for phase in found}) == len(found)


def test_ramp_and_spike_change_the_rate_and_soak_does_not() -> None:
    assert [phase.pace for phase in phases("ramp", 10.0)] == pytest.approx([n / 10 for n in range(1, 11)])
    assert [phase.pace for phase in phases("spike", 10.0, spike=7.0)] == [1.0, 7.0, 1.0]
    assert {phase.pace for phase in phases("soak", 10.0)} == {1.0}


def test_a_principal_without_a_token_of_its_own_has_that_of_the_run() -> None:
    mix = Mix((Call("echo", "-"),), (Principal("ann", "hers"), Principal("bob", None)))
    sent = json.loads(plan(mix=mix).encoded())
    assert [who["token"] for who in sent["principals"]] == ["hers", "secret-token"]


def test_what_a_report_says_of_a_plan_has_no_token() -> None:
    assert "secret-token" not in json.dumps(plan().described())


def test_the_generator_refuses_a_plan_that_makes_no_sense() -> None:
    with pytest.raises(ValueError, match="rate must be above 0"):
        LoadRun(plan(rate_per_s=-1.0).encoded())
    with pytest.raises(ValueError, match="no http:// URL"):
        LoadRun(plan().encoded().replace(b"http://", b"https://"))


def test_a_target_that_cannot_be_opened_is_an_error_of_the_system() -> None:
    run = LoadRun(plan(eras="legacy").encoded().replace(b":4320/", b":1/"))
    assert run.wait(10_000)
    with pytest.raises(OSError, match="could not be opened"):
        run.report()


def test_there_is_no_report_while_a_run_goes_on() -> None:
    run = LoadRun(plan(duration_s=600.0).encoded().replace(b":4320/", b":1/"))
    assert not run.wait(10)
    with pytest.raises(RuntimeError, match="goes on"):
        run.report()
    run.stop()
    assert run.wait(10_000)
    assert json.loads(run.report())["right"] == 0
