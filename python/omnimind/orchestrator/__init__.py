"""Guard and orchestrator: what starts, restarts and stops every process of the fleet.

`python -m omnimind.orchestrator` becomes the guard, which holds the sockets and starts the orchestrator as
its child. Nothing here imports the gateway, the servers, the MCP SDK or pydantic: they are started by name.
"""
