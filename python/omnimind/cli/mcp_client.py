"""A small MCP client for commands: modern (2026-07-28) requests over one HTTP connection, stdlib only.

One request is one POST; its answer is JSON, or an event stream whose last event it is. Nothing is
retried and no question of a server is answered: a command line shows what happened and ends.
"""

from __future__ import annotations

import base64
import http.client
import json
from collections.abc import Iterator, Mapping
from typing import Any, Final, Self
from urllib.parse import urlsplit

import omnimind
from omnimind.errors import GatewayError

VERSION: Final = "2026-07-28"
_META: Final = "io.modelcontextprotocol/"
_NAMED: Final[dict[str, str]] = {"tools/call": "name", "prompts/get": "name", "resources/read": "uri"}
_ANSWER_BYTES = 256 * 1024 * 1024
_PAGES = 10_000


class Client:
    """One endpoint and the token for it; a context manager that closes its connection."""

    def __init__(self, endpoint: str, token: str | None, timeout_s: float) -> None:
        parts = urlsplit(endpoint)
        self.endpoint = endpoint
        path = parts.path if parts.path.strip("/") else "/mcp"
        self._path = f"{path}?{parts.query}" if parts.query else path
        self._connection = http.client.HTTPConnection(
            parts.hostname or "127.0.0.1", parts.port, timeout=timeout_s
        )
        self._token = token
        self._id = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def tools(self) -> list[dict[str, Any]]:
        """Every tool, over all pages."""
        found: list[dict[str, Any]] = []
        cursor: dict[str, Any] = {}
        for _ in range(_PAGES):
            page = self.request("tools/list", cursor)
            found.extend(tool for tool in page.get("tools", []) if isinstance(tool, dict))
            if not isinstance(page.get("nextCursor"), str):
                return found
            cursor = {"cursor": page["nextCursor"]}
        raise GatewayError("OM0405", "the list of tools has no end", where=self.endpoint)

    def call(self, tool: Mapping[str, Any], arguments: dict[str, Any]) -> dict[str, Any]:
        """Call a tool that `tools` returned; its result as the server sent it."""
        params = {"name": tool["name"], "arguments": arguments}
        result = self.request("tools/call", params, mirrored(tool.get("inputSchema"), arguments))
        if result.get("resultType", "complete") != "complete":
            raise GatewayError(
                "OM0404",
                f"the tool {tool['name']} asks its caller a question",
                help="call it from a client that can answer",
            )
        return result

    def request(
        self, method: str, params: Mapping[str, Any], extra: Mapping[str, str] | None = None
    ) -> dict[str, Any]:
        """The result of one request; raises `GatewayError` for everything else."""
        self._id += 1
        body = envelope(self._id, method, params)
        headers = {
            "Content-Type": "application/json",
            "Accept": "application/json, text/event-stream",
            "MCP-Protocol-Version": VERSION,
            "Mcp-Method": method,
            **(extra or {}),
        }
        if method in _NAMED:
            headers["Mcp-Name"] = header_text(str(params[_NAMED[method]]))
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        try:
            self._connection.request("POST", self._path, json.dumps(body), headers)
            return self._answer(self._connection.getresponse())
        except (OSError, http.client.HTTPException) as error:
            raise GatewayError(
                "OM0401",
                f"the gateway does not answer: {error or type(error).__name__}",
                where=self.endpoint,
                help="see whether it runs: omnimind status",
            ) from None

    def _answer(self, response: http.client.HTTPResponse) -> dict[str, Any]:
        if "text/event-stream" in (response.getheader("Content-Type") or ""):
            message = next(
                (m for m in events(response) if m.get("id") == self._id and "method" not in m), None
            )
            response.close()
        else:
            raw = response.read(_ANSWER_BYTES)
            try:
                message = json.loads(raw)
            except (ValueError, RecursionError):
                message = None
        if isinstance(message, dict) and isinstance(message.get("error"), dict):
            raise self._refusal(response.status, message["error"])
        if (
            response.status != 200
            or not isinstance(message, dict)
            or not isinstance(message.get("result"), dict)
        ):
            raise GatewayError(
                "OM0401",
                f"the gateway answered with status {response.status} and no result",
                where=self.endpoint,
            )
        return dict(message["result"])

    def _refusal(self, status: int, error: Mapping[str, Any]) -> GatewayError:
        text, code = error.get("message"), error.get("code")
        if status in (401, 403):
            return GatewayError(
                "OM0401",
                f"the gateway refused the request: {text}",
                where=self.endpoint,
                help="make a new local token: omnimind token renew local",
            )
        data = error.get("data")
        wait_ms = data.get("retryAfterMs") if isinstance(data, dict) else None
        return GatewayError(
            "OM0405",
            f"{text} (code {code})",
            where=self.endpoint,
            help=f"try again in {wait_ms} ms" if isinstance(wait_ms, int) else None,
        )


def envelope(number: int, method: str, params: Mapping[str, Any]) -> dict[str, Any]:
    """A request as this client sends it; what `params` says in its own `_meta` goes along."""
    meta = {
        _META + "protocolVersion": VERSION,
        _META + "clientCapabilities": {},
        _META + "clientInfo": {"name": "omnimind", "version": omnimind.__version__},
    }
    return {
        "jsonrpc": "2.0",
        "id": number,
        "method": method,
        "params": {**params, "_meta": {**params.get("_meta", {}), **meta}},
    }


def events(response: http.client.HTTPResponse) -> Iterator[dict[str, Any]]:
    """The JSON messages of an event stream."""
    data: list[bytes] = []
    total = 0
    for raw in response:
        line = raw.rstrip(b"\r\n")
        total += len(line)
        if total > _ANSWER_BYTES:
            return
        if line.startswith(b"data:"):
            data.append(line[5:].removeprefix(b" "))
        elif not line and data:
            try:
                message = json.loads(b"\n".join(data))
            except (ValueError, RecursionError):
                message = None
            data = []
            if isinstance(message, dict):
                yield message


def mirrored(schema: Any, arguments: Any, depth: int = 0) -> dict[str, str]:
    """The `Mcp-Param-*` headers that a tool's schema asks for (`x-mcp-header`)."""
    found: dict[str, str] = {}
    properties = schema.get("properties") if isinstance(schema, dict) else None
    if not isinstance(properties, dict) or not isinstance(arguments, dict) or depth > 32:
        return found
    for name, inner in properties.items():
        value = arguments.get(name)
        token = inner.get("x-mcp-header") if isinstance(inner, dict) else None
        if isinstance(token, str) and isinstance(value, bool | str | int):
            text = str(value).lower() if isinstance(value, bool) else str(value)
            found[f"Mcp-Param-{token}"] = header_text(text)
        found.update(mirrored(inner, value, depth + 1))
    return found


def header_text(text: str) -> str:
    """A text as a header value; what a header cannot carry stands in the protocol's base64 form."""
    plain = (
        text.isascii() and text.isprintable() and text == text.strip() and not text.startswith("=?base64?")
    )
    return text if plain else f"=?base64?{base64.b64encode(text.encode()).decode()}?="
