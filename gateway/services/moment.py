"""One wave at one instant: what all its boards and places are computed from, worked out once.

Everything here is the same for every visitor, so it is paid for once per tick and not per poll; what is
left per visitor is a handful of integer operations. A moment lasts until the next snapshot or policy,
and a second at most: what is told then is as of that moment.
"""

from dataclasses import dataclass, field

from gateway.core import pacing
from gateway.core.policy import Policy
from gateway.core.programme import Zone
from gateway.core.snapshot import Phase, Snapshot

CHECK_IN_MARGIN = 0.8  # asked a little early, so that a slow network stays in the interval
COMPLETION_SAMPLE = 50  # passes issued before their completed share means anything


@dataclass(frozen=True, slots=True)
class Moment:
    """The snapshot and policy in force, and what follows from them."""

    snapshot: Snapshot
    policy: Policy
    zone: Zone
    now_us: int  # the server's time, carried forward by this process's own clock
    at: str  # the same, in ISO 8601
    stale: bool  # the snapshot is old
    stretch: float  # of all polls; doubled while stale
    short_per_s: float | None  # advance of `called` over a minute
    long_per_s: float | None  # and over five
    # What follows from these, worked out here once and not per visitor:
    is_over: bool = field(init=False)  # nobody new will be admitted
    places_left: int = field(init=False)  # in the quota, reservations not counted
    completion: float = field(init=False)  # share of passes that became registrations
    check_in_s: float = field(init=False)  # as it is told
    waiting_state: str = field(init=False)  # of those who are not called
    tells_eta: bool = field(init=False)  # anything is known of the advance

    def __post_init__(self) -> None:
        snapshot, known = self.snapshot, self.snapshot.admitted >= COMPLETION_SAMPLE
        derived = {
            "is_over": snapshot.phase in (Phase.FULL, Phase.CLOSED),
            "places_left": max(0, self.policy.quota - snapshot.accepted),
            "completion": snapshot.accepted / snapshot.admitted if known else 1.0,
            "waiting_state": "waiting" if snapshot.phase is Phase.OPEN else snapshot.phase.value,
            "tells_eta": bool(self.short_per_s or self.long_per_s)
            and snapshot.phase is not Phase.PAUSED,
            "check_in_s": self.policy.check_in_s * CHECK_IN_MARGIN,
        }
        for name, value in derived.items():
            object.__setattr__(self, name, value)

    def eta_s(self, ahead: int) -> tuple[int, int] | None:
        """Return the range in which the turn of somebody so far back will come; None: unknown."""
        if not self.tells_eta:
            return None
        return pacing.eta_s(ahead, self.short_per_s, self.long_per_s)

    def poll_s(self, position: int) -> float:
        """Return when the visitor at this position should ask again; the draw is over."""
        snapshot, check_in_s = self.snapshot, self.check_in_s
        if self.is_over:
            return 60.0
        if position < snapshot.near:
            # A newcomer in an empty room is called within a tick or two.
            return 1.0 if position < snapshot.called else check_in_s
        far_s = (position - snapshot.near) / (self.short_per_s or self.policy.rate_per_s)
        return max(check_in_s, pacing.poll_s(far_s, self.stretch))

    def opening_poll_s(self, share: float) -> float:
        """Return when to ask again before the draw; ``share`` in [0, 1) is the visitor's own."""
        to_opening_s = (self.snapshot.opens_at_us - self.now_us) / 1_000_000
        budget_per_s = self.policy.poll_budget_per_s
        return pacing.opening_poll_s(to_opening_s, self.snapshot.issued, budget_per_s, share)

    def board_poll_s(self) -> float:
        """Return when to ask for the board again; the page spreads it by its own jitter."""
        if self.is_over:
            return 60.0
        if not self.snapshot.opened:
            return self.opening_poll_s(share=0.0)
        return min(pacing.POLL_S_MAX, 10.0 * self.stretch)
