"""A guard against a limiter that became slow; the bar itself is `make bench-limits`, on a release build.

The ratio to the fastest of the others holds on a busy machine as well, in the best of rounds of one run; the
nanoseconds of three levels do not, and are not looked at here.
"""

from __future__ import annotations

import pytest

from benches import bench_limits, limiters

GOES = 4


@pytest.mark.alone
@pytest.mark.bar
@pytest.mark.timeout(300)
def test_a_decision_is_half_as_fast_again_as_that_of_any_other_package() -> None:
    if not limiters.are_installed():
        pytest.skip("the other packages are not in .tools; `make bench-limits` gets them")
    contenders = [*limiters.peers(), *limiters.ours()[:2]]
    for _ in range(GOES):
        result = bench_limits.measure(contenders, rounds=5, operations=1_000)
        times = result.times_as_fast()
        assert times is not None
        if times >= bench_limits.TIMES_AS_FAST:
            return
    pytest.fail(result.table())
