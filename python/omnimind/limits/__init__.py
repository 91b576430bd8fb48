"""Rate limits: the typed face of the Rust token bucket.

`TokenBucket` grants `rate_per_s` tokens a second and at most `burst` at once. Asking never waits:

    bucket = TokenBucket(rate_per_s=500, burst=50)
    if taken := bucket.try_take():
        ...
    else:
        await anyio.sleep(taken.retry_after_s)

A refusal is a value: false, with the exact wait. A cost no full bucket could pay is a mistake and raises.
"""

from omnimind._core import Refusal, TokenBucket

__all__ = ["Refusal", "TokenBucket"]
