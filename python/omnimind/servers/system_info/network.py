"""Network interfaces: state, counters and addresses, without a socket.

A confined server may open no socket, so addresses come from the routing tables under `/proc/net`. Those name the
interface of an IPv6 address; an IPv4 address is given to the interface whose network holds it, and to none
where that does not decide.
"""

from __future__ import annotations

import ipaddress
import struct
from typing import Final

from omnimind.servers.system_info.machine import Facts, Machine, Missing, tried

Counters = dict[str, tuple[int, ...]]

_NAMES: Final = {
    "received_bytes": 0,
    "received_packets": 1,
    "receive_errors": 2,
    "received_dropped": 3,
    "sent_bytes": 8,
    "sent_packets": 9,
    "send_errors": 10,
    "sent_dropped": 11,
}


def counters(machine: Machine) -> Counters:
    """What every interface has carried since it came up. Raises Missing."""
    found: Counters = {}
    for line in machine.text(machine.proc / "net/dev").splitlines():
        name, colon, rest = line.rpartition(":")
        numbers = rest.split()
        if colon and len(numbers) >= 16 and all(number.isdigit() for number in numbers):
            found[name.strip()] = tuple(int(number) for number in numbers[:16])
    return found


def interfaces(machine: Machine, counted: Counters, with_addresses: bool) -> list[Facts]:
    """Every interface with its state and counters; addresses only if asked."""
    found: list[Facts] = []
    ipv4 = tried(_ipv4, machine) if with_addresses else {}
    ipv6 = tried(_ipv6, machine) if with_addresses else {}
    for name, numbers in counted.items():
        folder = machine.sys / "class/net" / name
        row: Facts = {
            "name": name,
            "state": tried(machine.word, folder / "operstate"),
            "mtu": tried(machine.number, folder / "mtu"),
            "speed_mbit_per_s": tried(_speed, machine, name),
            "counters": {ours: numbers[at] for ours, at in _NAMES.items()},
        }
        if with_addresses:
            row["mac"] = tried(machine.word, folder / "address")
            row["ipv4"] = ipv4 if "available" in ipv4 else ipv4.get(name, [])
            row["ipv6"] = ipv6 if "available" in ipv6 else ipv6.get(name, [])
        found.append(row)
    return found


def unplaced(machine: Machine) -> list[str]:
    """IPv4 addresses of this machine that no network of an interface holds."""
    found = tried(_ipv4, machine)
    return list(found.get("", [])) if "available" not in found else []


def rates(before: Counters, after: Counters, interval_s: float) -> dict[str, Facts]:
    """What every interface carried in between, by the second."""
    return {
        name: {
            f"{ours}_per_s": round(max(0, after[name][at] - before[name][at]) / interval_s, 1)
            for ours, at in _NAMES.items()
        }
        for name in after
        if name in before
    }


def _speed(machine: Machine, name: str) -> int:
    path = machine.sys / "class/net" / name / "speed"
    found = machine.number(path)
    if found <= 0:
        raise Missing(f"{path} says {found}: the driver knows no speed, or there is no link")
    return found


def _ipv6(machine: Machine) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for line in machine.text(machine.proc / "net/if_inet6").splitlines():
        fields = line.split()
        if len(fields) == 6:
            address = ipaddress.IPv6Address(bytes.fromhex(fields[0]))
            found.setdefault(fields[5], []).append(f"{address}/{int(fields[2], 16)}")
    return found


def _ipv4(machine: Machine) -> dict[str, list[str]]:
    """Addresses by interface; those that cannot be told stand under an empty name."""
    networks = _networks(machine)
    found: dict[str, list[str]] = {}
    for address in _local(machine.text(machine.proc / "net/fib_trie")):
        here = [(network, name) for network, name in networks if address in network]
        narrowest = max((network.prefixlen for network, _ in here), default=0)
        names = {name for network, name in here if network.prefixlen == narrowest}
        if address.is_loopback:
            names = {"lo"}
        found.setdefault(names.pop() if len(names) == 1 else "", []).append(str(address))
    return found


def _local(trie: str) -> list[ipaddress.IPv4Address]:
    found: dict[ipaddress.IPv4Address, None] = {}
    leaf = ""
    for line in trie.splitlines():
        words = line.split()
        if words[:1] == ["|--"]:
            leaf = words[1]
        elif words == ["/32", "host", "LOCAL"]:
            found.setdefault(ipaddress.IPv4Address(leaf))
    return list(found)


def _networks(machine: Machine) -> list[tuple[ipaddress.IPv4Network, str]]:
    found = []
    for line in machine.text(machine.proc / "net/route").splitlines()[1:]:
        fields = line.split()
        if len(fields) >= 8 and int(fields[7], 16):  # a default route holds every address
            network, mask = (struct.pack("=I", int(fields[at], 16)) for at in (1, 7))
            found.append(
                (
                    ipaddress.IPv4Network((network, str(ipaddress.IPv4Address(mask))), strict=False),
                    fields[0],
                )
            )
    return found
