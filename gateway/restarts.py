"""When is a child that ended started again? At once, then ever later, up to five seconds.

Pure: the supervisor gives durations and takes delays; no clock is read here.
"""

from dataclasses import dataclass

STEADY_S = 10.0  # up for so long, a child counts as well again
FIRST_DELAY_S = 0.25  # before the second restart in a row; doubled for each one more
DELAY_S_MAX = 5.0
ENDS_BEFORE_READY_MAX = 5  # at start-up; then a human has to look
REFUSED = 78  # EX_CONFIG of sysexits.h: only another configuration helps


@dataclass(frozen=True, slots=True)
class Restart:
    """Start it again."""

    delay_s: float
    streak: int  # restarts in a row, with this one


@dataclass(frozen=True, slots=True)
class GiveUp:
    """Do not start it again: stop the others as well."""

    why: str


def after_exit(*, streak: int, up_s: float, code: int, was_ready: bool) -> Restart | GiveUp:
    """Decide what follows the end of a child.

    ``streak`` counts its restarts in a row; ``was_ready`` says whether it, or one before it, ever
    was. A configuration that is refused in mid-run takes nobody down: the others still serve.
    """
    if code == REFUSED and not was_ready:
        return GiveUp("refused its configuration")
    if not was_ready and streak + 1 >= ENDS_BEFORE_READY_MAX:
        return GiveUp(f"ended {streak + 1} times before it was ready")
    streak = 0 if up_s >= STEADY_S else streak
    # The exponent is bounded as well: 2.0 ** 2000 is no float.
    delay_s = FIRST_DELAY_S * 2.0 ** min(streak - 1, 10) if streak else 0.0
    return Restart(min(delay_s, DELAY_S_MAX), streak + 1)
