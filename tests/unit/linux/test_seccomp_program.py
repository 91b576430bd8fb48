"""The filter of system calls, run by a small interpreter of the kernel's instructions: for both machines."""

from __future__ import annotations

import errno

from filter_machine import ALLOWED, ARCH, ERRNO, decision, machines

from omnimind.linux import seccomp

REFUSED = ERRNO | errno.EPERM
READ = {"x86_64": 0, "aarch64": 63}
EXECVE = {"x86_64": 59, "aarch64": 221}
SOCKET = {"x86_64": 41, "aarch64": 198}
CLONE = {"x86_64": 56, "aarch64": 220}
PTRACE = {"x86_64": 101, "aarch64": 117}
CLONE3 = 435
THREAD = 0x003D0F00
FORK = 0x01200011


@machines
def test_ordinary_calls_pass_and_ways_out_do_not(machine: str) -> None:
    program = seccomp.program(machine, (), threads_only=True)
    assert decision(program, ARCH[machine], READ[machine]) == ALLOWED
    for number in (EXECVE[machine], SOCKET[machine], PTRACE[machine]):
        assert decision(program, ARCH[machine], number) == REFUSED


@machines
def test_a_thread_may_be_made_and_a_process_may_not(machine: str) -> None:
    program = seccomp.program(machine, (), threads_only=True)
    assert decision(program, ARCH[machine], CLONE[machine], THREAD) == ALLOWED
    assert decision(program, ARCH[machine], CLONE[machine], FORK) == REFUSED
    assert decision(program, ARCH[machine], CLONE3) == ERRNO | errno.ENOSYS


@machines
def test_what_a_server_needs_is_left_to_it(machine: str) -> None:
    program = seccomp.program(machine, seccomp.PROCESSES | seccomp.NETWORK, threads_only=False)
    for number in (EXECVE[machine], SOCKET[machine], CLONE[machine], CLONE3):
        assert decision(program, ARCH[machine], number, FORK) == ALLOWED
    assert decision(program, ARCH[machine], PTRACE[machine]) == REFUSED


@machines
def test_the_numbering_of_another_architecture_is_refused(machine: str) -> None:
    program = seccomp.program(machine, (), threads_only=True)
    assert decision(program, 0x40000003, READ[machine]) == REFUSED


def test_the_second_numbering_of_x86_is_refused() -> None:
    program = seccomp.program("x86_64", (), threads_only=True)
    assert decision(program, ARCH["x86_64"], 0x40000000 | READ["x86_64"]) == REFUSED
