"""What this process knows of each room: the latest snapshot, the policy, who checked in.

One tick per wave brings them up to date; boards, places and polls are served from here without Redis.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from gateway.core import pacing
from gateway.core.calling import NEAR_STOCKS
from gateway.core.clock import iso
from gateway.core.draw import Draw, commitment, draw_secret, seed
from gateway.core.policy import RATE_MILLI, Policy
from gateway.core.policy_change import Timer
from gateway.core.programme import Programme, Wave
from gateway.core.snapshot import Snapshot
from gateway.ports import PortUnavailableError
from gateway.services.moment import CHECK_IN_MARGIN, Moment, approach_per_s, pace_per_s

STALE_S = 2.0  # a snapshot older than this is told to be old
LEFT_EVERY_S = 1.0  # the bitmap of who left grows with the room: no load of every tick
PRESENT_MAX = 20_000  # check-ins kept between two ticks
MOMENT_S_MAX = 1.0
DRAWN_MAX = 131_072  # positions remembered: working one out takes ten rounds of SHA-256


@dataclass(slots=True, eq=False)
class LiveRoom:
    """One wave as this process sees it."""

    programme: Programme
    wave: Wave
    draw_secret: bytes
    monotonic_s: Callable[[], float]
    policy: Policy
    snapshot: Snapshot | None = None
    has_its_draw: bool = True  # False: the room is bound to the secret of another `draw.key`
    revision: int = 0  # of `policy`
    changed_at_us: int = 0  # when it came into force; 0: with the room
    timer: Timer | None = None  # what of it goes back by itself
    advance: pacing.Advance = field(default_factory=pacing.Advance)
    _left: bytearray = field(default_factory=bytearray)  # bitmap by number, as Redis keeps it
    _left_known: int = -1  # how many had ended when it was read
    _left_read_at_s: float = 0.0
    polls: int = 0  # boards and places told by this process
    polled: pacing.Advance = field(default_factory=pacing.Advance)  # how fast `polls` grows
    promises: pacing.Promises = field(default_factory=pacing.Promises)
    _draw: Draw | None = None
    _drawn: dict[int, int] = field(default_factory=dict)  # number -> position
    _moment: Moment | None = None
    _moment_ends_at_s: float = 0.0
    _present: set[int] = field(default_factory=set)
    polls_expected_per_s: float = 0.0  # of all who wait, by the formula
    _seen_at_s: float = 0.0
    _stretch: float = 1.0

    def observe(self, snapshot: Snapshot) -> None:
        """Take in what the last tick has told."""
        self.snapshot = snapshot
        self._seen_at_s = self.monotonic_s()
        self.polled.add(round(self._seen_at_s * 1_000_000), self.polls)
        self.has_its_draw = snapshot.commitment in ("", self.commitment())
        if not snapshot.opened or not self.has_its_draw:
            return
        self.advance.add(snapshot.clock_us, snapshot.called)
        self.promises.settle(snapshot.called, snapshot.now_us)
        if self._draw is None:
            self._draw, self._drawn = Draw(self.seed(snapshot), snapshot.cohort), {}
        self._pace(snapshot)

    def _pace(self, snapshot: Snapshot) -> None:
        """Stretch the polls of the far so that they and the check-ins of the near fit the budget."""
        budget_per_s = self.policy.poll_budget_per_s
        near_s = min(
            NEAR_STOCKS * self.policy.check_in_s, self.wait_s(snapshot.issued - snapshot.called)
        )
        rate_per_s = (snapshot.rate_milli_per_s or self.policy.rate_milli_per_s) / RATE_MILLI
        near_per_s = rate_per_s * near_s / (self.policy.check_in_s * CHECK_IN_MARGIN)
        # The same pace in both, so that as many are expected to poll as wait, however it wavers.
        far = self.approach_per_s, self.wait_s(snapshot.issued - snapshot.near)
        self._stretch = pacing.stretch(*far, max(budget_per_s - near_per_s, budget_per_s / 10))
        self.polls_expected_per_s = near_per_s + pacing.load_per_s(self._stretch, *far)

    @property
    def approach_per_s(self) -> float:
        """How many positions a second the near window may come closer."""
        return approach_per_s(self.current(), self.policy)

    def wait_s(self, positions: int) -> float:
        """Return how soon ``called`` may have moved so far: who asks by then is not passed over."""
        return max(0, positions) / self.approach_per_s

    def pace_per_s(self, window_us: int = pacing.SHORT_US) -> float | None:
        """Return how fast ``called`` moves, by what was measured over a window; None: unknown."""
        return pace_per_s(self.current(), self.policy, self.advance.per_s(window_us))

    def current(self) -> Snapshot:
        """Return the snapshot.

        Raises:
            PortUnavailableError: the room has not been seen yet, or positions told here would be wrong.
        """
        if self.snapshot is None:
            raise PortUnavailableError("the room has not been seen yet", retry_after_s=1.0)
        if not self.has_its_draw:
            raise PortUnavailableError("another draw.key is in use", retry_after_s=5.0)
        return self.snapshot

    def age_s(self) -> float:
        """Return how long ago the snapshot was taken."""
        return self.monotonic_s() - self._seen_at_s

    @property
    def stale(self) -> bool:
        """Whether what is told may be out of date."""
        return self.snapshot is None or self.age_s() > STALE_S

    @property
    def stretch(self) -> float:
        """How much longer than the least all polls are, to fit the budget; doubled while stale."""
        return self._stretch * (2 if self.stale else 1)

    def now_us(self) -> int:
        """Return the server's time, carried forward from the snapshot by this process's own clock."""
        return self.current().now_us + round(self.age_s() * 1_000_000)

    def furthest_us(self) -> int:
        """Return the server's time as if its clock had never been set back."""
        return self.current().furthest_us + round(self.age_s() * 1_000_000)

    def moment(self) -> Moment:
        """Return what boards and places are computed from until the next tick.

        Raises:
            PortUnavailableError: the room has not been seen yet.
        """
        held, now_s = self._moment, self.monotonic_s()
        if (
            held is None
            or held.snapshot is not self.snapshot
            or held.policy is not self.policy
            or now_s >= self._moment_ends_at_s
        ):
            held = self._moment = self._new_moment()
            self._moment_ends_at_s = now_s + MOMENT_S_MAX
        return held

    def _new_moment(self) -> Moment:
        now_us, zone = self.now_us(), self.programme.zone
        return Moment(
            snapshot=self.current(),
            policy=self.policy,
            zone=zone,
            now_us=now_us,
            furthest_us=self.furthest_us(),
            at=iso(now_us, zone),
            stale=self.stale,
            stretch=self.stretch,
            short_per_s=self.pace_per_s(),
            long_per_s=self.pace_per_s(pacing.LONG_US),
        )

    def position(self, number: int) -> int | None:
        """Return the place in the order; None before the draw."""
        draw = self._draw
        if draw is None or number >= draw.cohort:
            return None if draw is None else number
        position = self._drawn.get(number)
        if position is None:
            if len(self._drawn) >= DRAWN_MAX:
                self._drawn.clear()
            position = self._drawn[number] = draw.position(number)
        return position

    def check_in(self, position: int) -> None:
        """Note that the visitor at this position is there; told to the room at the next tick."""
        if len(self._present) < PRESENT_MAX:
            self._present.add(position)

    def take_present(self) -> list[int]:
        """Return the check-ins since the last call."""
        present, self._present = self._present, set()
        return sorted(present)

    def has_left(self, number: int) -> bool:
        """Whether the holder of a number is known to have left."""
        byte = number >> 3
        return byte < len(self._left) and bool(self._left[byte] >> (7 - (number & 7)) & 1)

    def note_left(self, number: int) -> None:
        """Know at once what Redis was told by this process."""
        missing = (number >> 3) + 1 - len(self._left)
        self._left.extend(bytes(max(0, missing)))
        self._left[number >> 3] |= 1 << (7 - (number & 7))

    def wants_left(self) -> bool:
        """Whether somebody has ended since the bitmap was read, and that was not just now."""
        is_due = self.monotonic_s() - self._left_read_at_s >= LEFT_EVERY_S
        return self.current().ended != self._left_known and is_due

    def take_left(self, bitmap: bytes) -> None:
        """Take in the bitmap of who left, read after the current snapshot."""
        self._left = bytearray(bitmap)
        self._left_known = self.current().ended
        self._left_read_at_s = self.monotonic_s()

    def commitment(self) -> str:
        """Return what binds the gateway to its draw from the wave's making on."""
        return commitment(self.draw_secret)

    def seed(self, snapshot: Snapshot) -> bytes:
        """Return the draw's seed. Before the cohort is frozen it means nothing."""
        return seed(
            self.draw_secret, self.programme.id, self.wave.id, snapshot.beacon, snapshot.cohort
        )


class Rooms:
    """All waves this process serves, by id."""

    def __init__(
        self,
        programmes: Mapping[str, Programme],
        draw_key: bytes,
        monotonic_s: Callable[[], float],
    ) -> None:
        self._rooms = {}
        for programme in programmes.values():
            for wave in programme.waves:
                secret = draw_secret(draw_key, programme.id, wave.id)
                room = LiveRoom(programme, wave, secret, monotonic_s, wave.policy)
                self._rooms[wave.id] = room

    def get(self, wave_id: str) -> LiveRoom | None:
        """Return one room, or None where no such wave is configured."""
        return self._rooms.get(wave_id)

    def __iter__(self) -> Iterator[LiveRoom]:
        return iter(self._rooms.values())

    def __len__(self) -> int:
        return len(self._rooms)


def share_of(number: int) -> float:
    """Return a visitor's own share in [0, 1), the same at every poll: spreads polls without a draw."""
    digest = hashlib.blake2b(number.to_bytes(8, "big"), digest_size=4).digest()
    return int.from_bytes(digest, "big") / 2**32
