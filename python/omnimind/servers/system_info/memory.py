"""Memory and swap, from `/proc/meminfo`, in bytes."""

from __future__ import annotations

from omnimind.servers.system_info.machine import Facts, Machine, Missing, tried

_FIELDS = {
    "total_bytes": "MemTotal",
    "available_bytes": "MemAvailable",
    "free_bytes": "MemFree",
    "buffers_bytes": "Buffers",
    "cached_bytes": "Cached",
    "shared_bytes": "Shmem",
    "reclaimable_bytes": "SReclaimable",
    "dirty_bytes": "Dirty",
}


def facts(machine: Machine) -> Facts:
    """What there is and what is left. Used is total without available."""
    try:
        found = meminfo(machine)
    except Missing as lack:
        why = {"available": False, "why": str(lack)}
        return {"memory": why, "swap": why, "huge_pages": why}
    return {
        "memory": tried(_memory, found),
        "swap": tried(_swap, found),
        "huge_pages": tried(_huge_pages, found),
    }


def meminfo(machine: Machine) -> dict[str, int]:
    """The fields of `/proc/meminfo`: bytes, or a plain count. Raises Missing."""
    found: dict[str, int] = {}
    for line in machine.text(machine.proc / "meminfo").splitlines():
        name, _, rest = line.partition(":")
        words = rest.split()
        if words and words[0].isdigit():
            found[name] = int(words[0]) * (1024 if words[1:] == ["kB"] else 1)
    return found


def _memory(found: dict[str, int]) -> Facts:
    memory: Facts = {ours: tried(_of, found, name) for ours, name in _FIELDS.items()}
    total, available = _of(found, "MemTotal"), found.get("MemAvailable")
    if available is None:
        why = {"available": False, "why": "this kernel does not say what is available (before 3.14)"}
        return {**memory, "used_bytes": why, "used_percent": why}
    used = total - available
    return {**memory, "used_bytes": used, "used_percent": round(100 * used / max(1, total), 1)}


def _swap(found: dict[str, int]) -> Facts:
    total = _of(found, "SwapTotal")
    if total == 0:
        raise Missing("this machine has no swap space")
    free = _of(found, "SwapFree")
    used = total - free
    return {
        "total_bytes": total,
        "free_bytes": free,
        "used_bytes": used,
        "used_percent": round(100 * used / total, 1),
    }


def _huge_pages(found: dict[str, int]) -> Facts:
    return {
        "total": _of(found, "HugePages_Total"),
        "free": _of(found, "HugePages_Free"),
        "page_bytes": _of(found, "Hugepagesize"),
    }


def _of(found: dict[str, int], name: str) -> int:
    if name not in found:
        raise Missing(f"/proc/meminfo has no {name}")
    return found[name]
