"""How many admissions may start now? A token bucket in whole numbers.

The level is counted in thousand-millionths of a token, the rate in thousandths of a token per second:
one microsecond at one thousandth per second is exactly one unit, so nothing is ever rounded and any
number of callers refills what one caller would (the token bucket of RFC 2697, without its colours).

Twins: ``redis/scripts/step.lua`` and ``claim.lua``.
"""

TOKEN = 1_000_000_000  # units in one token
STEP_US_MAX = (
    1_000_000  # a longer silence counts as one second: a clock step buys one second at most
)
RETRY_US_MIN = 200_000  # nobody is told to ask again sooner


def elapsed_us(last_us: int, now_us: int) -> int:
    """Return the time a step may count: never negative, never above a second.

    Backwards is nothing, a leap forwards is one second: whatever the clock does, the bucket grants at
    most one extra second of rate and never stalls.
    """
    return min(max(now_us - last_us, 0), STEP_US_MAX)


def refill(level: int, *, rate_milli_per_s: int, burst: int, step_us: int) -> int:
    """Return the level after ``step_us`` microseconds, never above ``burst`` tokens."""
    return min(level + rate_milli_per_s * step_us, burst * TOKEN)


def kept_tokens(rate_milli_per_s: int, burst: int) -> int:
    """Return how many tokens are kept for those in front: what comes in between two of their asks.

    Two at least, the last of them for the very first. Not the whole burst: who is called and gone counts
    as in front until the next turn, and what is kept for it is missing now and too much then.
    """
    return min(burst, max(2, -(-rate_milli_per_s * RETRY_US_MIN // TOKEN)))


def tokens_asked(rank: int, *, kept: int, target: int) -> int:
    """Return how many tokens must be there for a claimant with ``rank`` present ones in front of it.

    The first takes the last token, whoever stands at the end of the stock finds all that are kept: those
    in front, who ask again soon, are served first, and where they do not ask no token is lost.
    """
    return 1 - (1 - kept) * min(rank, target) // target


def wait_us(level: int, rank: int, *, rate_milli_per_s: int) -> int:
    """Return when a claimant with ``rank`` others before it finds its token."""
    missing = (rank + 1) * TOKEN - level
    return max(0, -(-missing // rate_milli_per_s))
