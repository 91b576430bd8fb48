"""What of a fleet the kernel is to watch, by which names, and how that is said: for all commands that do it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit

from omnimind.monitor import needs
from omnimind.monitor.needs import Kernel
from omnimind.monitor.report import Source

GATEWAY = "gateway"
"""How the place of the gateway's port begins: `gateway:4320`."""


def ports(endpoint: str, servers: Mapping[str, str]) -> dict[int, str]:
    """The ports of a fleet and whose they are, from its endpoints."""
    urls = {GATEWAY: endpoint, **servers}
    return {port: name for name, url in urls.items() if (port := urlsplit(url).port)}


def source(kernel: Kernel, watched: Sequence[int], children: int = 0) -> Source:
    """What this clock is."""
    places = [f"ports {', '.join(map(str, sorted(watched)))}"] if watched else []
    places += [f"stdin and stdout of {children} processes"] if children else []
    version = needs.dotted(kernel.version)
    return Source("kernel", f"{kernel.variant} by bpftrace {version}, {' and '.join(places)}")


def coarse(kernel: Kernel) -> str | None:
    """What a reader must know of an older bpftrace."""
    if kernel.fine:
        return None
    old, promised = needs.dotted(kernel.version), needs.dotted(needs.PROMISED)
    return f"bpftrace {old} counts by powers of two: percentiles are coarse ({promised}: 3 %)"
