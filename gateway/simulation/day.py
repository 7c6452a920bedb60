"""What does a crowd do, tick after tick? Arrivals, the opening, looks at boards and places.

Every tick the world is told who checked in, and answers with a snapshot; from it visitors are served as
the front door would serve them, by a real ``LiveRoom``: its stretch, advance and draw are the gateway's
own. What the page does with the answers is ``applicant.js`` in short. Claims and forms: ``turns``.
"""

from collections.abc import Iterable

import numpy as np

from gateway.core import pacing
from gateway.core.snapshot import Phase, Snapshot
from gateway.services.front_door import board_poll_s, places_left
from gateway.services.rooms import CHECK_IN_MARGIN, LiveRoom, is_over
from gateway.simulation import arrivals, polls
from gateway.simulation.calendar import Calendar
from gateway.simulation.crowd import Crowd, Floats, Integers
from gateway.simulation.tally import TICK_US, TICKS_PER_S, Asked, Tally
from gateway.simulation.turns import Turns
from gateway.simulation.visitors import State, Visitors
from gateway.simulation.worlds import World

JITTER_LOW, JITTER_HIGH = 0.85, 1.15  # how the page spreads every wait
BOARD_POLL_S_MIN = 15.0  # asked to wait longer than this, the page does with the board
OVER_POLL_S = 60.0
COMPLETION_SAMPLE = 50  # passes after which the share that registers is known


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
        self.calendar = Calendar(len(crowd))
        self.tally = Tally(tick_count)
        self.turns = Turns(world, self.visitors, self.calendar, self.tally, self.jitter)
        ticks = (crowd.arrives_s * 1_000_000 + opens_us - start_us) / TICK_US
        self._come_by: list[int] = np.searchsorted(
            ticks, np.arange(tick_count + 1), "right"
        ).tolist()
        self._seen: list[int] = []
        self._drawn = False
        self._short_per_s: float | None = None  # how fast called moves, over both windows
        self._long_per_s: float | None = None
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
            self._tell_over(due[state == State.TOLD])
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
            self.live.observe(snapshot)
            self._short_per_s = self.live.advance.per_s()
            self._long_per_s = self.live.advance.per_s(pacing.LONG_US)
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
            self.live.observe(snapshot)
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
        for what in (Asked.PAGE, Asked.PLACE, Asked.BOARD):  # without a ticket the place is none
            self.tally.ask(what, len(newcomers))
        first = None
        if snapshot.phase in (Phase.PREQUEUE, Phase.OPEN, Phase.PAUSED):
            self.tally.ask(Asked.JOIN, len(newcomers))
            first = self.world.join(self.now_us, len(newcomers))
        if first is None:
            self._end(newcomers)
            return newcomers[:0]
        if first != newcomers[0]:
            raise AssertionError(f"visitor {newcomers[0]} was given number {first}")
        self.visitors.come(newcomers, self.tick)
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
            self._look_before(snapshot, newcomers, waiting)
        elif is_over(snapshot.phase):
            both = np.concatenate([newcomers, waiting])
            self.tally.poll(Asked.PLACE, len(both))
            self.visitors.stop_waiting(both, State.TOLD)
            self._end(both)
        else:
            self._look_after(snapshot, newcomers, waiting)

    def _look_before(self, snapshot: Snapshot, newcomers: Integers, waiting: Integers) -> None:
        both = np.concatenate([newcomers, waiting])
        self.tally.poll(Asked.PLACE, len(both))
        to_opening_s = (self.opens_us - self.now_us) / 1_000_000
        budget_per_s = self.live.policy.poll_budget_per_s
        share = self.crowd.share[both]
        wait_s = polls.opening_poll_s(to_opening_s, snapshot.issued, budget_per_s, share)
        last = wait_s > to_opening_s  # look: then it is the board's, and exactly when it was told
        self.visitors.by_board[both] = last
        self._again(both[~last], wait_s[~last])
        self._again(both[last], wait_s[last], exactly=True)

    def _look_after(self, snapshot: Snapshot, newcomers: Integers, waiting: Integers) -> None:
        both = np.concatenate([newcomers, waiting])
        position = self.visitors.position[both]
        claims_again = self.visitors.state[both] == State.CALLED
        near = position < snapshot.near
        by_board = self.visitors.by_board[both]
        self.tally.poll(Asked.BOARD, int(by_board.sum()))
        self.tally.poll(Asked.PLACE, int(((~by_board | near) & ~claims_again).sum()))
        called = position < snapshot.called
        self._tell(snapshot, both[~called], (position[~called] - snapshot.called).astype(float))
        self._seen += position[near & ~called].tolist()
        self._ask_again(snapshot, both[~called], position[~called])
        turn = both[called]
        shows = self.crowd.shows[turn]
        self.visitors.stop_waiting(turn[~shows], State.GONE)
        self.turns.claim(turn[shows], self.tick, self.now_us)

    def _tell(self, snapshot: Snapshot, visitors: Integers, ahead: Floats) -> None:
        """Tell of the wait and of the places, from the board or from one's own place."""
        left = places_left(self.live, snapshot)
        by_board = self.visitors.by_board[visitors] & (ahead >= snapshot.near - snapshot.called)
        enough = snapshot.admitted >= COMPLETION_SAMPLE
        completion = snapshot.accepted / snapshot.admitted if enough else 1.0
        board = polls.board_eta_s(ahead[by_board], self._short_per_s)
        place = polls.eta_s(ahead[~by_board], self._short_per_s, self._long_per_s)
        for these, ranges in ((visitors[by_board], board), (visitors[~by_board], place)):
            if ranges is not None:
                self.visitors.promise(these, self.tick, *ranges.astype(np.int64))
        self.visitors.unlikely[visitors] = np.where(
            by_board, polls.unlikely(ahead, left, 1.0), polls.unlikely(ahead, left, completion)
        )

    def _ask_again(self, snapshot: Snapshot, visitors: Integers, position: Integers) -> None:
        """Say when to look again: near ones at every check-in, far ones by what remains."""
        live = self.live
        check_in_s = live.policy.check_in_s * CHECK_IN_MARGIN
        near = position < snapshot.near
        per_s = self._short_per_s or live.policy.rate_per_s
        far_s = np.maximum(0, position - snapshot.near) / per_s
        wait_s = polls.poll_s(far_s, live.stretch)
        by_board = self.visitors.by_board[visitors]
        if self._short_per_s is None:
            wait_s[by_board] = board_poll_s(live, snapshot)
        wait_s[~by_board] = np.maximum(check_in_s, wait_s[~by_board])
        wait_s[near] = check_in_s
        # Once the page has the board it goes back to its place only when it is near.
        self.visitors.by_board[visitors] = ~near & (by_board | (wait_s > BOARD_POLL_S_MIN))
        self._again(visitors, wait_s)

    def _again(self, visitors: Integers, wait_s: Floats, *, exactly: bool = False) -> None:
        shows = self.crowd.shows[visitors]
        self.visitors.stop_waiting(visitors[~shows], State.GONE)
        ticks = _ticks(wait_s[shows]) if exactly else self.jitter(wait_s[shows])
        self.calendar.put(visitors[shows], self.tick + ticks)

    def jitter(self, wait_s: Floats) -> Integers:
        """Return how many ticks a page waits that is told to wait so long."""
        return _ticks(wait_s * self.rng.uniform(JITTER_LOW, JITTER_HIGH, len(wait_s)))

    def _tell_over(self, visitors: Integers) -> None:
        """Serve those who look again at a wave that is over."""
        if not len(visitors):
            return
        self.tally.poll(Asked.BOARD, len(visitors))
        self.visitors.looks_left[visitors] -= 1
        stay = visitors[self.visitors.looks_left[visitors] > 0]
        self.calendar.put(stay, self.tick + self.jitter(np.full(len(stay), OVER_POLL_S)))

    def _end(self, visitors: Integers) -> None:
        """Have some of those who are told that the wave is over look twice more."""
        if not len(visitors):
            return
        stay = visitors[self.rng.random(len(visitors)) < arrivals.LOOKS_AGAIN]
        self.visitors.state[visitors] = State.TOLD
        self.visitors.looks_left[stay] = 2
        self.calendar.put(stay, self.tick + self.jitter(np.full(len(stay), OVER_POLL_S)))


def _ticks(wait_s: Floats) -> Integers:
    return np.maximum(1, np.rint(wait_s * TICKS_PER_S)).astype(np.int64)
