"""The filter for code of a stranger, run by the small interpreter of the kernel's instructions."""

from __future__ import annotations

import errno
from collections.abc import Callable

import filter_machine
import pytest
from filter_machine import ALLOWED, ARCH, ERRNO, machines

from omnimind.linux import jailfilter, seccomp

PID = 4321
KILL, TGKILL, PRLIMIT, PRCTL = (62, 129), (234, 131), (302, 261), (157, 167)
FCNTL, SOCKETPAIR, FCHMOD, MEMFD, EXECVE, SOCKET = (
    (72, 25),
    (53, 199),
    (91, 52),
    (319, 279),
    (59, 221),
    (41, 198),
)


def decision(program: bytes, machine: str, calls: tuple[int, int], *arguments: int) -> int:
    return filter_machine.decision(program, ARCH[machine], calls[machine == "aarch64"], *arguments)


@machines
def test_signals_go_to_the_process_itself_alone(machine: str) -> None:
    program = jailfilter.program(machine, PID)
    for call in (KILL, TGKILL):
        assert decision(program, machine, call, PID, 9) == ALLOWED
        for other in (PID + 1, 0, 1, 0xFFFFFFFF, 0xFFFFFFFFFFFFFFFF):
            assert decision(program, machine, call, other, 9) == ERRNO | errno.EPERM


@machines
def test_limits_are_read_of_the_process_itself_alone(machine: str) -> None:
    program = jailfilter.program(machine, PID)
    assert decision(program, machine, PRLIMIT, 0) == decision(program, machine, PRLIMIT, PID) == ALLOWED
    assert decision(program, machine, PRLIMIT, PID + 1) == ERRNO | errno.EPERM


@machines
def test_some_uses_of_a_call_are_refused_and_others_are_not(machine: str) -> None:
    program = jailfilter.program(machine, PID)
    assert decision(program, machine, PRCTL, 15) == ALLOWED
    assert decision(program, machine, PRCTL, 1) == ERRNO | errno.EPERM
    assert decision(program, machine, FCNTL, 3, 4) == ALLOWED
    for command in (8, 10, 15, 1024, 1026, 1031):
        assert decision(program, machine, FCNTL, 3, command) == ERRNO | errno.EPERM


def jail_filter(machine: str) -> bytes:
    return jailfilter.program(machine, PID)


def server_filter(machine: str) -> bytes:
    return seccomp.program(machine, (), threads_only=True)


@machines
@pytest.mark.parametrize("made", [jail_filter, server_filter])
def test_a_pair_of_sockets_is_a_stream_or_nothing(machine: str, made: Callable[[str], bytes]) -> None:
    program = made(machine)
    for kind in (1, 5, 1 | 0o2000000 | 0o4000):
        assert decision(program, machine, SOCKETPAIR, 1, kind) == ALLOWED
    for family, kind in ((1, 2), (1, 3), (1, 2 | 0o2000000), (2, 1), (16, 1)):
        assert decision(program, machine, SOCKETPAIR, family, kind) == ERRNO | errno.EPERM


@machines
def test_a_server_with_the_network_keeps_pairs_for_datagrams(machine: str) -> None:
    program = seccomp.program(machine, seccomp.NETWORK, threads_only=True)
    assert decision(program, machine, SOCKETPAIR, 1, 2) == ALLOWED


@machines
def test_what_is_ignored_what_is_refused_and_what_is_unknown(machine: str) -> None:
    program = jailfilter.program(machine, PID)
    assert decision(program, machine, FCHMOD, 3, 0) == ERRNO
    assert decision(program, machine, MEMFD) == ERRNO | errno.EPERM
    assert decision(program, machine, (470, 470)) == ERRNO | errno.ENOSYS
    assert decision(program, machine, (0, 63)) == ALLOWED


@machines
def test_a_program_or_the_network_is_open_only_where_asked_for(machine: str) -> None:
    for execute, network in ((False, False), (True, False), (False, True)):
        program = jailfilter.program(machine, PID, execute=execute, network=network)
        assert (decision(program, machine, EXECVE) == ALLOWED) is execute
        assert (decision(program, machine, SOCKET) == ALLOWED) is network


def test_the_number_of_one_process_is_not_in_the_filter_of_the_next() -> None:
    first, second = jailfilter.program("x86_64", 11), jailfilter.program("x86_64", 12)
    assert decision(first, "x86_64", KILL, 12) == ERRNO | errno.EPERM
    assert decision(second, "x86_64", KILL, 12) == ALLOWED
