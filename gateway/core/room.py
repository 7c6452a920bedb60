"""What a wave's room is, and how it steps: the whole shared state as one value in memory.

The Redis scripts keep the same fields in a hash, five bitmaps and a few bounded tables; this module and
``passes.py`` are their twins, the memory of the fake port and the engine of the simulator. Clocks: ``now_us``
is the server's; ``clock_us`` is the wave's own, which advances in clamped steps and stands while the room
cannot accept, so that neither a clock step nor an outage takes anything from the life of a pass.
"""

import heapq
from collections import deque
from dataclasses import dataclass, field, fields

from gateway.core import bucket
from gateway.core.bitmap import Bitmap
from gateway.core.calling import advance, near_at_opening, next_near, next_phase, stock_target
from gateway.core.clock import agree, confirmed_us
from gateway.core.policy import Policy
from gateway.core.snapshot import Phase, Snapshot
from gateway.core.steering import Steering

EXPIRED_PER_TICK = 500  # passes put back in one tick: bounds the script's run time


@dataclass(slots=True)
class Pass:
    """An outstanding reservation."""

    serial: int
    expires_us: int  # on the wave clock
    extensions: int = 0
    persons: list[bytes] = field(default_factory=list)  # digests it was tried with


@dataclass(slots=True)
class Room:
    """The shared state of one wave."""

    epoch: str
    policy: Policy
    prequeue_at_us: int
    opens_at_us: int
    closes_at_us: int  # by the programme; the policy may have it otherwise
    last_us: int  # server clock at the last step
    agreed_us: int = 0  # the same, when a process's own clock last agreed with it
    furthest_us: int = 0  # server clock, as if it had never been set back
    beacon: str = ""
    commitment: str = ""  # of the draw
    missing: int = 0  # acknowledged registrations that recovery could not find again
    revision: int = 1
    phase: Phase = Phase.SCHEDULED
    clock_us: int = 0
    level: int = 0  # of the bucket
    turned_us: int = 0  # wave clock when the presence bitmaps last turned over
    issued: int = 0
    cohort: int = 0
    called: int = 0
    ripe: int = 0  # positions below it have been near for a full interval
    near: int = 0
    admitted: int = 0
    accepted: int = 0
    recorded: int = 0
    ended: int = 0
    backlog: int = 0
    form_us: int = 0  # time on the form of all who registered, together
    steering: Steering = field(default_factory=Steering)
    accepted_us: deque[int] = field(default_factory=deque)  # instants; the backlog is its end
    present: Bitmap = field(default_factory=Bitmap)  # by position: seen in the last two intervals
    fresh: Bitmap = field(default_factory=Bitmap)  # by position: seen in this interval
    left: Bitmap = field(default_factory=Bitmap)  # by number
    missed: Bitmap = field(default_factory=Bitmap)  # by number: one pass has expired
    lost: Bitmap = field(default_factory=Bitmap)  # by number: two have
    passes: dict[int, Pass] = field(default_factory=dict)  # by number
    # A heap of (expires_us, number as text: the order of a Redis zset, number); also of passes long gone.
    expiries: list[tuple[int, str, int]] = field(default_factory=list)
    spent: dict[int, tuple[str, int]] = field(default_factory=dict)  # number -> (receipt, serial)

    @property
    def frozen(self) -> bool:
        """Whether the wave clock stands: nobody could use the time."""
        recovering = self.phase is Phase.RECOVERING
        return self.policy.paused or recovering or self.is_full(self.last_us)

    @property
    def rate_milli_per_s(self) -> int:
        """The rate in force: the policy's, or what the autopilot holds."""
        return self.steering.in_force_milli_per_s(self.policy)

    @property
    def oldest_us(self) -> int:
        """When the oldest entry that is not settled was accepted; 0: there is none."""
        while len(self.accepted_us) > max(0, self.backlog):
            self.accepted_us.popleft()  # entries are settled in their order
        return self.accepted_us[0] if self.accepted_us else 0

    def is_late(self, now_us: int, parts: int) -> bool:
        """Whether the oldest entry waits longer than one part of what it may."""
        oldest_us = self.oldest_us if self.backlog else 0
        return oldest_us > 0 and (now_us - oldest_us) * parts > self.policy.intake_age_s * 1_000_000

    def is_full(self, now_us: int) -> bool:
        """Whether the intake takes no more, by count or by age."""
        return self.backlog >= self.policy.intake_cap or self.is_late(now_us, 1)

    @property
    def admitting(self) -> bool:
        """Whether passes may be issued at all."""
        return self.phase is Phase.OPEN and not self.frozen

    @property
    def places_free(self) -> int:
        """How many passes the quota still has room for."""
        return self.policy.quota - self.accepted - len(self.passes)


def step(room: Room, now_us: int) -> None:
    """Bring clock, phase and bucket up to ``now_us``."""
    elapsed_us = bucket.elapsed_us(room.last_us, now_us)
    room.last_us = now_us
    room.furthest_us = max(now_us, room.furthest_us + elapsed_us)
    room.steering.step(room.policy, elapsed_us)
    if not room.frozen:
        room.clock_us += elapsed_us
    room.phase = next_phase(
        room.phase,
        confirmed_us(now_us, room.agreed_us),
        prequeue_at_us=room.prequeue_at_us,
        opens_at_us=room.opens_at_us,
        closes_at_us=room.policy.closes_us(room.closes_at_us),
        accepted=room.accepted,
        quota=room.policy.quota,
    )
    if room.near == 0 and room.phase in (Phase.OPEN, Phase.FULL):
        _open(room)
    elif room.admitting:
        rate, burst = room.rate_milli_per_s, room.policy.burst
        room.level = bucket.refill(
            room.level, rate_milli_per_s=rate, burst=burst, step_us=elapsed_us
        )
    if not room.admitting:
        room.level = 0  # a pause or an opening pays for no past


def _open(room: Room) -> None:
    """Freeze the cohort: from here on positions are drawn, and later comers stand behind."""
    room.cohort = room.issued
    room.turned_us = room.clock_us
    room.level = 0
    room.near = near_at_opening(
        issued=room.issued, target=_target(room), check_in_us=room.policy.check_in_s * 1_000_000
    )


def _target(room: Room) -> int:
    check_in_us = room.policy.check_in_s * 1_000_000
    return stock_target(room.rate_milli_per_s, check_in_us)


def tick(room: Room, now_us: int, wall_us: int, seen: list[int], commitment: str = "") -> Snapshot:
    """Step, note who checked in, put expired passes back, move ``called``; say how the room stands.

    Who was called since checking in may have claimed too: marking it now would count a ghost, so those
    below ``called`` are noted by ``look`` and ``claim`` alone. ``wall_us`` is the caller's own clock.
    """
    if agree(now_us, wall_us):
        room.agreed_us = now_us
    room.commitment = room.commitment or commitment
    step(room, now_us)
    for position in seen:
        if position >= room.called:
            mark_present(room, position)
    if room.phase in (Phase.OPEN, Phase.FULL, Phase.CLOSED):
        _expire(room)
    if room.phase is Phase.OPEN and not room.frozen:
        turned = _turn(room)
        target = min(_target(room), max(0, room.places_free))
        room.called = advance(
            room.present, called=room.called, ripe=room.ripe, issued=room.issued, target=target
        )
        if turned:  # fit the window to those who are left in it, once `called` has moved
            room.near = next_near(
                room.present,
                called=room.called,
                near=room.near,
                issued=room.issued,
                target=_target(room),
            )
    return snapshot(room)


def mark_present(room: Room, position: int) -> None:
    """Note a check-in. Only once the wave is open do positions exist."""
    if room.phase is Phase.OPEN and position < room.issued:
        room.present.set(position)
        room.fresh.set(position)


def mark_absent(room: Room, position: int) -> None:
    """Take a visitor out of the stock: it was admitted, or left."""
    room.present.clear(position)
    room.fresh.clear(position)


def _turn(room: Room) -> bool:
    """Once an interval: forget who was not seen in it; all who are near have been so for an interval."""
    if room.clock_us - room.turned_us < room.policy.check_in_s * 1_000_000:
        return False
    room.turned_us = room.clock_us
    room.present, room.fresh = room.fresh, Bitmap()
    room.ripe = room.near
    return True


def hold(room: Room, number: int, held: Pass) -> None:
    """Keep a pass, new or with a new expiry, until that."""
    room.passes[number] = held
    heapq.heappush(room.expiries, (held.expires_us, str(number), number))


def _expire(room: Room) -> None:
    """Give back the places of expired passes; their holders return to the front once."""
    expired = 0
    while room.expiries and room.expiries[0][0] <= room.clock_us and expired < EXPIRED_PER_TICK:
        expires_us, _, number = heapq.heappop(room.expiries)
        held = room.passes.get(number)
        if held is None or held.expires_us != expires_us:
            continue  # spent, released or extended since
        expired += 1
        del room.passes[number]
        if number not in room.missed:
            room.missed.set(number)
        elif number not in room.lost:
            room.lost.set(number)
            room.ended += 1


def snapshot(room: Room) -> Snapshot:
    """Return what every process may know of the room."""
    paused = room.policy.paused and room.phase in (Phase.PREQUEUE, Phase.OPEN)
    return Snapshot(
        phase=Phase.PAUSED if paused else room.phase,
        now_us=room.last_us,
        stock=room.present.count(0, room.called),
        outstanding=len(room.passes),
        **{name: getattr(room, name) for name in _TOLD_AS_KEPT},
    )


_TOLD_AS_KEPT = tuple(
    each.name for each in fields(Snapshot) if each.name != "phase" and hasattr(Room, each.name)
)
