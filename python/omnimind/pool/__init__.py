"""HTTP connections for Python programs, kept and shared as the gateway's are: `omnimind.ConnectionPool`.

    async with omnimind.ConnectionPool() as pool:
        response = await pool.request("GET", "https://example.com/")

Modules: `face` is the pool, `response` is what it answers with, `desk` is where tasks wait for what runs on the core's
threads, `faults` makes errors of what went wrong.
"""

from omnimind.pool.face import ConnectionPool, OriginStats
from omnimind.pool.response import Headers, Response, StreamedResponse

__all__ = ["ConnectionPool", "Headers", "OriginStats", "Response", "StreamedResponse"]
