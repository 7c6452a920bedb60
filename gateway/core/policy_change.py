"""What may one step of a policy do, and what comes back by itself? Severe steps, timers and undo.

A step is *severe* while people are in the room when it moves a number by more than half, touches the quota,
or asks more of the store than it has shown: whoever wants it repeats the value. A *timer* holds what some
fields go back to, at an instant of Redis ``TIME``; any process may carry it out, since the change is compared
with its revision. One timer a wave: a second timed change keeps what the first would have gone back to.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from gateway.core.policy import BOUNDS, Policy, Violation, validate
from gateway.core.snapshot import Phase

STEP_RATIO_MAX = 0.5  # of the number in force
SHOWN_RATIO_MAX = 1.2  # of the rate that the store has shown
FOLLOWERS = frozenset({"burst", "floor_per_s"})  # bounded by the rate, so it answers for them
RUNNING = frozenset({Phase.PREQUEUE, Phase.OPEN, Phase.PAUSED, Phase.FULL})
FOR_S_MIN, FOR_S_MAX = 10, 86_400
AGO_US_MAX = 60_000_000  # of a closing that is meant to be now

Changes = Mapping[str, tuple[Any, Any]]  # field -> (before, after)


@dataclass(frozen=True, slots=True)
class Severe:
    """One step that must be confirmed by repeating its value."""

    name: str  # the field
    value: int | float | str
    why: str


@dataclass(frozen=True, slots=True)
class Timer:
    """What goes back by itself."""

    until_us: int  # Redis TIME
    fields: Mapping[str, Any]  # to which values
    who: str  # set it


@dataclass(frozen=True, slots=True)
class Unknown:
    """The way back to a revision is not known: no record leads from ``revision`` to the one before."""

    revision: int


def severe(
    changes: Changes, phase: Phase | None, shown_per_s: float | None, *, wave_id: str = ""
) -> tuple[Severe, ...]:
    """Return the steps that need a confirmation; ``shown_per_s`` is what the store takes, if known."""
    found = []
    if "closes_at" in changes:
        found.append(Severe("closes_at", wave_id, "the closing of a wave, as told to the public"))
    if phase not in RUNNING:
        return tuple(found)
    for name, (before, after) in changes.items():
        if BOUNDS[name].kind not in (int, float) or name in FOLLOWERS:
            continue
        if name == "quota":
            found.append(Severe(name, after, "the quota of a wave that runs"))
        elif name == "rate_per_s" and shown_per_s and after > SHOWN_RATIO_MAX * shown_per_s:
            why = f"{after / shown_per_s:.1f} times what the store has shown ({shown_per_s:.3g}/s)"
            found.append(Severe(name, after, why))
        elif abs(after - before) > STEP_RATIO_MAX * before:
            found.append(Severe(name, after, f"more than half up or down from {before:g}"))
    return tuple(found)


def needs_reason(changes: Changes, phase: Phase) -> bool:
    """Whether it must be said why: while people are in the room, but for going on after a pause."""
    goes_on = changes.keys() <= {"paused", "message"} and changes.get("paused") == (True, False)
    return phase in RUNNING and not goes_on


def is_confirmed(step: Severe, repeated: str) -> bool:
    """Whether the value stands among those repeated, with commas between them."""
    for text in repeated.split(","):
        try:
            if text.strip() == step.value or float(text) == step.value:
                return True
        except ValueError:
            continue
    return False


def closing_violation(
    before_us: int, after_us: int, phase: Phase, *, now_us: int, for_s: int | None
) -> Violation | None:
    """Say why a wave cannot close at ``after_us`` in place of ``before_us``, or None.

    What has closed stays closed: its end was told, and people have gone. A closing in the past is now.
    """
    why = None
    if phase is Phase.CLOSED or now_us >= before_us:
        why = "cannot change: the wave has closed, and nothing opens it again"
    elif for_s is not None:
        why = "is for good: a closing does not go back by itself"
    elif after_us < now_us - AGO_US_MAX:
        why = "lies in the past"
    return Violation("/closes_at", "closing", why) if why else None


def next_timer(
    timer: Timer | None, changes: Changes, *, until_us: int | None, who: str
) -> Timer | None:
    """Return the timer after a change: for good where ``until_us`` is None, else until then."""
    kept = dict(timer.fields) if timer else {}
    if until_us is None:  # whoever changes a field for good has taken it out of the timer's hands
        kept = {name: value for name, value in kept.items() if name not in changes}
        return replace(timer, fields=kept) if timer and kept else None
    before = {name: old for name, (old, _) in changes.items()}
    return Timer(until_us, before | kept, who)


def with_fields(policy: Policy, fields: Mapping[str, Any]) -> Policy:
    """Return the policy with fields as they once were; what no longer fits the rate is lowered to it."""
    merged = replace(policy, **fields)
    fitting = max(1, math.floor(merged.rate_per_s))
    fitted = replace(
        merged,
        burst=min(merged.burst, fitting),
        floor_per_s=min(merged.floor_per_s, merged.rate_per_s),
    )
    checked = validate(asdict(fitted), fitted)
    assert isinstance(checked, Policy), "what was valid once is valid again"
    return checked


def walk_back(
    policy: Policy, steps: Sequence[tuple[int, Mapping[str, Any]]], to: int
) -> Policy | Unknown:
    """Return the policy as of revision ``to``.

    ``steps`` are (revision, what its changed fields were before it), newest first and without a gap.
    """
    fields: dict[str, Any] = {}
    wanted = steps[0][0] if steps else to + 1
    for revision, before in steps:
        if revision <= to:
            break
        if revision != wanted:
            return Unknown(wanted)
        fields |= before
        wanted -= 1
    return with_fields(policy, fields) if wanted == to else Unknown(wanted)
