"""What happens at each tick of a simulated day? Arrivals, the opening, and everybody who is due.

Every tick the world is told who checked in, and answers with a snapshot, from which all are served.
Those who wait: ``looks``; those whose turn has come: ``turns``.
"""

from collections.abc import Iterable

import numpy as np

from gateway.core.snapshot import Phase, Snapshot
from gateway.services.moment import is_over
from gateway.services.rooms import LiveRoom
from gateway.simulation.calendar import Calendar
from gateway.simulation.crowd import Crowd, Integers
from gateway.simulation.looks import Looks
from gateway.simulation.tally import TICK_US, TICKS_PER_S, Asked, Tally
from gateway.simulation.turns import Turns
from gateway.simulation.visitors import State, Visitors
from gateway.simulation.worlds import World


class Day:
    """One wave's day, from ``start_us`` on."""

    def __init__(
        self,
        world: World,
        live: LiveRoom,
        crowd: Crowd,
        *,
        start_us: int,
        opens_us: int,
        tick_count: int,
        rng: np.random.Generator,
    ) -> None:
        self.world, self.live, self.crowd, self.rng = world, live, crowd, rng
        self.start_us, self.opens_us = start_us, opens_us
        self.tick_count = tick_count
        self.tick = 0
        self.visitors = Visitors(crowd)
        self.calendar = Calendar(len(crowd), rng)
        self.tally = Tally(tick_count)
        parts = self.visitors, self.calendar, self.tally
        self.turns = Turns(world, *parts)
        self.looks = Looks(live, *parts, rng)
        ticks = (crowd.arrives_s * 1_000_000 + opens_us - start_us) / TICK_US
        self._come_by: list[int] = np.searchsorted(
            ticks, np.arange(tick_count + 1), "right"
        ).tolist()
        self._seen: list[int] = []
        self._drawn = False
        self._come = 0

    @property
    def now_us(self) -> int:
        """The simulated instant."""
        return self.start_us + self.tick * TICK_US

    def run(self) -> Iterable[int]:
        """Lead the day to its end; yields each whole second that has passed."""
        while self.tick < self.tick_count:
            self.step()
            if self.tick % TICKS_PER_S == 0:
                yield self.tick // TICKS_PER_S

    def step(self) -> None:
        """Lead everybody through one tick."""
        self.tick += 1
        self.tally.at(self.tick)
        snapshot = self._tick()
        newcomers = self._arrive(snapshot)
        due = self.calendar.take(self.tick)
        if len(due) or len(newcomers):
            state = self.visitors.state[due]
            self.turns.fill_forms(due[state == State.FORM], self.tick, self.now_us)
            self.looks.over_again(due[state == State.TOLD])
            waiting = self._without_leavers(due[state <= State.CALLED])
            self._look(snapshot, newcomers, waiting)
        self.turns.deliver(self.now_us)
        reloads_per_s, looks_per_s = self.visitors.impatient_per_s
        self.tally.impatient(reloads_per_s / TICKS_PER_S, looks_per_s / TICKS_PER_S)
        self.turns.look_from_forms()

    def _tick(self) -> Snapshot:
        """Look at the room: every tick, or once a second when it is over and nobody is on the form."""
        last = self.live.snapshot
        idle = last is not None and is_over(last.phase) and not last.outstanding
        if last is None or not idle or self.tick % TICKS_PER_S == 0:
            last = self.world.tick(self.now_us, self._seen)
            self._seen = []
        self._observe(last)
        return last

    def _observe(self, snapshot: Snapshot) -> None:
        """Take the snapshot in. The pace is worked out once a second: nobody asks for it faster."""
        if (snapshot.opened and not self._drawn) or self.tick % TICKS_PER_S == 0:
            self.looks.observe(snapshot)
        self.live.snapshot = snapshot
        if snapshot.opened and not self._drawn:
            self.draw()
        if snapshot.phase is Phase.FULL and self.tally.full_tick is None:
            self.tally.full_tick = self.tick
        expected_per_s = 0.0
        if snapshot.phase is Phase.OPEN:
            expected_per_s = self.live.polls_expected_per_s
        self.tally.stand(self.tick, snapshot, self.visitors.waiting_count, expected_per_s)

    def take_in(self, numbers: Integers, snapshot: Snapshot) -> None:
        """Begin with people who hold tickets already."""
        self._come = len(numbers)
        self.visitors.come(numbers, 0)
        if snapshot.opened:
            self.looks.observe(snapshot)
            self.draw()

    def draw(self) -> None:
        """Give everybody of the cohort its position; whoever waits begins to count from here."""
        self._drawn = True
        come = np.arange(self._come)
        places = [self.live.position(number) or 0 for number in range(self._come)]
        self.visitors.position[come] = places
        self.visitors.since[come] = self.tick

    def _arrive(self, snapshot: Snapshot) -> Integers:
        """Let those come whose time it is: the page, the board, a ticket."""
        come = self._come_by[self.tick]
        newcomers = np.arange(self._come, come)
        self._come = come
        if not len(newcomers):
            return newcomers
        self.tally.arrived[self.tick // TICKS_PER_S] += len(newcomers)
        for what in (Asked.PAGE, Asked.PLACE, Asked.BOARD):  # without a ticket there is no place
            self.tally.ask(what, len(newcomers))
        first = None
        if snapshot.phase in (Phase.PREQUEUE, Phase.OPEN, Phase.PAUSED):
            self.tally.ask(Asked.JOIN, len(newcomers))
            first = self.world.join(self.now_us, len(newcomers))
        if first is None:
            self.looks.over(newcomers)
            return newcomers[:0]
        if first != newcomers[0]:
            raise AssertionError(f"visitor {newcomers[0]} was given number {first}")
        self.visitors.come(newcomers, self.tick)
        self.tally.ask(Asked.PLACE, len(newcomers))  # the first look is nobody's poll
        if snapshot.opened:
            self.visitors.position[newcomers] = newcomers
            self._seen += newcomers.tolist()
        return newcomers

    def _without_leavers(self, waiting: Integers) -> Integers:
        """See off who has had enough, or has been served by another device; return the others."""
        if not len(waiting):
            return waiting
        served = self.visitors.served[self.crowd.person[waiting]]
        impatient = self.visitors.losing_patience(waiting, self.tick) & ~served
        self.turns.leave(waiting[impatient], self.now_us)
        self.visitors.stop_waiting(waiting[served], State.GONE)
        return waiting[~(served | impatient)]

    def _look(self, snapshot: Snapshot, newcomers: Integers, waiting: Integers) -> None:
        """Serve all who wait and are due. The next look is asked for; no-shows take the first only."""
        if not snapshot.opened:
            self.looks.before(snapshot, newcomers, waiting)
        elif is_over(snapshot.phase):
            both = np.concatenate([newcomers, waiting])
            self.tally.poll(Asked.PLACE, len(waiting))
            self.visitors.stop_waiting(both, State.TOLD)
            self.looks.over(both)
        else:
            seen, turn = self.looks.after(snapshot, newcomers, waiting)
            self._seen += seen
            self.turns.claim(turn, self.tick, self.now_us)
