"""Which states can an applicant meet? Each as a wave of its own, so that all can be looked at in one place.

The rooms are made up, everything else is what applicants get: the same pages, scripts and API.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from gateway.core.draw import Draw
from gateway.core.policy import Policy
from gateway.core.programme import Moment, Programme, Wave
from gateway.core.snapshot import Phase, Snapshot
from gateway.ports import Standing

MINUTE_US = 60_000_000
EPOCH = "0123456789abcdef"
OFFLINE = "offline"  # a trouble that is no problem: nothing answers
COHORT, CALLED, NEAR, ISSUED = 330_000, 41_200, 42_100, 592_900
POSITION = 124_800  # of whoever waits in the preview
RATE_PER_S, QUOTA = 50.0, 164_000
AGE_US = 14 * MINUTE_US  # of an open wave


@dataclass(frozen=True, slots=True)
class State:
    """How a wave and its visitor stand."""

    phase: Phase = Phase.OPEN
    inside: bool = False  # whether the visitor holds a ticket
    standing: Standing | None = None  # of one who is called
    receipt: str = ""  # what became of the registration
    trouble: str = ""  # of the connection: offline, or the code of a problem
    quota: int = QUOTA
    message: str = ""
    joins_paused: bool = False


_CALLED = Standing("called")
_ADMITTED = Standing("admitted", serial=1, extensions=0)
_REGISTERED = Standing("registered")
_NEWS = "Penyimpanan sedang diperiksa. Kabar berikutnya pukul 19.30 WIB."

STATES: Mapping[str, State] = {
    "scheduled": State(Phase.SCHEDULED),
    "join": State(Phase.PREQUEUE),
    "prequeue": State(Phase.PREQUEUE, inside=True),
    "open": State(),
    "waiting": State(inside=True),
    "unlikely": State(inside=True, quota=60_000),
    "called": State(inside=True, standing=_CALLED),
    "admitted": State(inside=True, standing=_ADMITTED),
    "received": State(inside=True, standing=_REGISTERED, receipt="received"),
    "recorded": State(inside=True, standing=_REGISTERED, receipt="recorded"),
    "rejected": State(inside=True, standing=_REGISTERED, receipt="rejected"),
    "already": State(inside=True, trouble="already-registered"),
    "shut": State(joins_paused=True),
    "full": State(Phase.FULL),
    "closed": State(Phase.CLOSED),
    "paused": State(Phase.PAUSED, inside=True, message=_NEWS),
    "paused-outside": State(Phase.PAUSED, message=_NEWS),
    "left": State(inside=True, standing=Standing("left")),
    "missed": State(inside=True, standing=Standing("missed")),
    "recovering": State(Phase.RECOVERING, inside=True),
    "recovering-outside": State(Phase.RECOVERING),
    "busy": State(trouble="overloaded"),
    "throttled": State(inside=True, trouble="too-many-requests"),
    "offline": State(inside=True, trouble=OFFLINE),
}


def staged(programme: Programme) -> Programme:
    """Return the programme with one wave for each state, and one that follows."""
    waves = [_wave(programme, name, 1, state) for name, state in STATES.items()]
    return replace(programme, waves=(*waves, _wave(programme, "next", 2, State(Phase.SCHEDULED))))


def _wave(programme: Programme, name: str, ordinal: int, state: State) -> Wave:
    policy = Policy(
        rate_per_s=RATE_PER_S,
        quota=state.quota,
        message=state.message,
        joins_paused=state.joins_paused,
        poll_budget_per_s=8_000,
    )
    moment = Moment(0)  # what counts is the snapshot
    return Wave(name, programme.id, ordinal, moment, moment, moment, policy)


def number_of(state: State, draw: Draw) -> int:
    """Return the number of the visitor: one that was drawn to where it should stand."""
    return draw.number(CALLED - 200 if state.standing else POSITION)


def snapshots(state: State, now_us: int) -> Iterator[Snapshot]:
    """Return what the last minutes looked like: from their pace follows the time that is told."""
    opened = state.phase not in (Phase.SCHEDULED, Phase.PREQUEUE)
    opens_at_us = now_us - AGE_US if opened else now_us + 5 * MINUTE_US
    closes_at_us = now_us + 5 * 1440 * MINUTE_US
    for minute in range(5, -1, -1):
        called = CALLED - round(RATE_PER_S * 60 * minute)
        yield Snapshot(
            epoch=EPOCH,
            phase=state.phase,
            now_us=now_us - minute * MINUTE_US,
            clock_us=now_us - minute * MINUTE_US,
            agreed_us=now_us - minute * MINUTE_US,
            furthest_us=now_us - minute * MINUTE_US,
            prequeue_at_us=opens_at_us - 60 * MINUTE_US,
            opens_at_us=opens_at_us,
            closes_at_us=now_us - MINUTE_US if state.phase is Phase.CLOSED else closes_at_us,
            revision=1,
            issued=ISSUED,
            cohort=COHORT if opened else 0,
            called=called if opened else 0,
            near=NEAR if opened else 0,
            stock=0,
            admitted=41_000 if opened else 0,
            outstanding=900 if opened else 0,
            accepted=QUOTA if state.phase is Phase.FULL else 32_600 if opened else 0,
            recorded=32_500 if opened else 0,
            ended=0,
            missing=0,
            backlog=0,
            rate_milli_per_s=round(RATE_PER_S * 1000),
            oldest_us=0,
            form_us=0,
            beacon="",
            commitment="",
        )
