"""One wave at one instant: what all its boards and places are computed from, worked out once.

Everything here is the same for every visitor, so it is paid for once per tick and not per poll; what is
left per visitor is a handful of integer operations. A moment lasts until the next snapshot or policy,
and a second at most: what is told then is as of that moment.
"""

from dataclasses import dataclass, field

from gateway.core import calling, pacing
from gateway.core.policy import Policy
from gateway.core.programme import Zone
from gateway.core.snapshot import Phase, Snapshot

CHECK_IN_MARGIN = 0.8  # asked a little early, so that a slow network stays in the interval
COMPLETION_SAMPLE = 50  # passes issued before their completed share means anything
STOCK_MARGIN = 1.1  # times its target: beyond it, those who were passed over have come back
UNSETTLED_CHECK_INS = 2  # after the opening, before which nothing is known of who is there
OVER_POLL_S = 60.0  # by a crowd that the budget bears
TAKING = (Phase.PREQUEUE, Phase.OPEN, Phase.PAUSED)  # numbers are given
OVERDUE_S = 1.0  # an opening this late waits for a clock that was set back
OVERDUE_S_MAX = 900.0  # and one this late was never due: the clock is right


@dataclass(frozen=True, slots=True)
class Moment:
    """The snapshot and policy in force, and what follows from them."""

    snapshot: Snapshot
    policy: Policy
    zone: Zone
    now_us: int  # the server's time, carried forward by this process's own clock
    furthest_us: int  # the same, as if the server's clock had never been set back
    at: str  # `now_us`, in ISO 8601
    stale: bool  # the snapshot is old
    stretch: float  # of all polls; doubled while stale
    short_per_s: float | None  # pace of `called` over a minute; None: unknown
    long_per_s: float | None  # and over five
    # What follows from these, worked out here once and not per visitor:
    is_over: bool = field(init=False)  # nobody new will be admitted
    joins_paused: bool = field(init=False)  # the phase would take newcomers, the policy does not
    places_left: int = field(init=False)  # in the quota, reservations not counted
    completion: float = field(init=False)  # share of passes that became registrations
    check_in_s: float = field(init=False)  # as it is told
    approach_per_s: float = field(init=False)  # at which the near window may come closer
    waiting_state: str = field(init=False)  # of those who are not called
    paces_per_s: tuple[float, float] | None = field(init=False)  # higher, lower; None: unknown

    def __post_init__(self) -> None:
        snapshot, policy = self.snapshot, self.policy
        derived = {
            "is_over": is_over(snapshot.phase),
            "joins_paused": policy.joins_paused and snapshot.phase in TAKING,
            "places_left": places_left(snapshot, policy),
            "completion": completion(snapshot),
            "check_in_s": policy.check_in_s * CHECK_IN_MARGIN,
            "approach_per_s": approach_per_s(snapshot, policy),
            "waiting_state": "waiting" if snapshot.phase is Phase.OPEN else snapshot.phase.value,
            "paces_per_s": _paces_per_s(self),
        }
        for name, value in derived.items():
            object.__setattr__(self, name, value)

    def eta_s(self, ahead: int) -> tuple[int, int] | None:
        """Return the range in which the turn of somebody so far back will come; None: unknown."""
        paces = self.paces_per_s
        return None if paces is None else pacing.range_s(ahead, *paces)

    def poll_s(self, position: int) -> float:
        """Return when the visitor at this position should ask again; the draw is over."""
        snapshot, check_in_s = self.snapshot, self.check_in_s
        if self.is_over:
            return self.over_poll_s()
        if position < snapshot.near:
            # A newcomer in an empty room is called within a tick or two.
            return 1.0 if position < snapshot.called else check_in_s
        far_s = (position - snapshot.near) / self.approach_per_s
        return max(check_in_s, pacing.poll_s(far_s, self.stretch))

    def opening_poll_s(self, share: float) -> float:
        """Return when to ask again before the draw; ``share`` in [0, 1) is the visitor's own.

        The opening goes by the server's clock. Where that was set back it may be set right at any moment: all
        are asked to be there as if it had not been, and to look again while it is not; likewise where it went
        ahead, and nobody confirms that it is time.
        """
        waiting, budget_per_s = self.snapshot.issued, self.policy.poll_budget_per_s
        to_opening_s = (self.snapshot.opens_at_us - self.furthest_us) / 1_000_000
        if to_opening_s <= -OVERDUE_S_MAX:
            to_opening_s = (self.snapshot.opens_at_us - self.now_us) / 1_000_000
        if to_opening_s < -OVERDUE_S:
            return pacing.overdue_poll_s(waiting, budget_per_s, share)
        return pacing.opening_poll_s(to_opening_s, waiting, budget_per_s, share)

    def over_poll_s(self) -> float:
        """Return when to look again at a wave that is over: whoever joined may still have its page open."""
        return max(OVER_POLL_S, self.snapshot.issued / self.policy.poll_budget_per_s)

    def board_poll_s(self) -> float:
        """Return when to ask for the board again; the page spreads it by its own jitter."""
        snapshot = self.snapshot
        if self.is_over:
            return self.over_poll_s()
        if not snapshot.opened:
            return self.opening_poll_s(share=0.0)
        # Pages keep to it while the pace is unknown or nobody is called: all of them at once.
        crowd_s = (snapshot.issued - snapshot.called) / self.policy.poll_budget_per_s
        return min(pacing.POLL_S_MAX, max(10.0 * self.stretch, crowd_s))


def _paces_per_s(moment: Moment) -> tuple[float, float] | None:
    paces = [pace for pace in (moment.short_per_s, moment.long_per_s) if pace]
    if not paces or moment.snapshot.phase is Phase.PAUSED:
        return None
    return max(paces), min(paces)


def is_over(phase: Phase) -> bool:
    """Whether nobody new will be admitted in this phase."""
    return phase in (Phase.FULL, Phase.CLOSED)


def places_left(snapshot: Snapshot, policy: Policy) -> int:
    """Return how many registrations the quota still has room for, reservations not counted."""
    return max(0, policy.quota - snapshot.accepted)


def completion(snapshot: Snapshot) -> float:
    """Return the share of passes that became registrations; 1 until it can be told."""
    known = snapshot.admitted >= COMPLETION_SAMPLE
    return snapshot.accepted / snapshot.admitted if known else 1.0


def approach_per_s(snapshot: Snapshot, policy: Policy) -> float:
    """Return how many positions a second the near window may come closer."""
    return calling.approach_per_s(
        called=snapshot.called,
        near=snapshot.near,
        rate_per_s=policy.rate_per_s,
        check_in_s=policy.check_in_s,
    )


def pace_per_s(snapshot: Snapshot, policy: Policy, measured_per_s: float | None) -> float | None:
    """Return how fast ``called`` moves; None where it is unknown.

    While the first looks after the opening come in, ``called`` runs ahead over those who are still to
    look, and then stands until they have been admitted: more are called and there than it aims at.
    Neither is the pace of the wait, which then is the rate; and in the first check-ins all is unknown.
    """
    open_us = snapshot.furthest_us - snapshot.opens_at_us
    if open_us < UNSETTLED_CHECK_INS * policy.check_in_s * 1_000_000:
        return None
    target = calling.stock_target(policy.rate_milli_per_s, policy.check_in_s * 1_000_000)
    if measured_per_s is None or snapshot.stock <= target * STOCK_MARGIN:
        return measured_per_s
    return min(measured_per_s, policy.rate_per_s) or policy.rate_per_s
