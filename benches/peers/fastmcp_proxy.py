"""FastMCP's proxy as its documentation makes it; run by the Python of the environment that has FastMCP.

python benches/peers/fastmcp_proxy.py PORT URL | PORT COMMAND...
"""

from __future__ import annotations

import sys
from typing import Any


def main() -> None:
    from fastmcp.server import create_proxy  # in the environment of the peer only

    port, *words = sys.argv[1:]
    command: dict[str, Any] = {"command": words[0], "args": words[1:]}
    target = words[0] if words[0].startswith("http") else {"mcpServers": {"upstream": command}}
    create_proxy(target, name="proxy").run(
        transport="http", host="127.0.0.1", port=int(port), show_banner=False, log_level="error"
    )


if __name__ == "__main__":
    main()
