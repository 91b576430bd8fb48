"""For all tests: how patient property tests are on a machine that does other things too; that Ctrl-C is heard."""

from __future__ import annotations

import os
import signal

from hypothesis import HealthCheck, settings

# The same examples in every run, so that a change is judged by what it changes; a full run looks for others.
settings.register_profile(
    "shared machine",
    deadline=None,
    derandomize="OMNIMIND_FULL" not in os.environ,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("shared machine")

# A shell that begins the tests in the background has them ignore SIGINT, and so would all that they start.
signal.signal(signal.SIGINT, signal.default_int_handler)
