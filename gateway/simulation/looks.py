"""What is a look answered with, and when does the next follow? Boards and places, as the page asks.

Visitors are served from the latest snapshot as the front door would serve them, by a real ``LiveRoom``:
stretch, pace and draw are the gateway's own. What the page does with the answers is ``applicant.js`` in
short. No-shows take the first look only.
"""

import numpy as np

from gateway.core import pacing
from gateway.core.snapshot import Snapshot
from gateway.services.moment import CHECK_IN_MARGIN, completion, places_left
from gateway.services.rooms import LiveRoom
from gateway.simulation import arrivals, polls
from gateway.simulation.calendar import JITTER, Calendar
from gateway.simulation.crowd import Floats, Integers
from gateway.simulation.tally import Asked, Tally
from gateway.simulation.visitors import State, Visitors

BOARD_POLL_S_MIN = 15.0  # asked to wait longer than this, the page does with the board


class Looks:
    """Looks at boards and places by those who are not on the form."""

    def __init__(
        self,
        live: LiveRoom,
        visitors: Visitors,
        calendar: Calendar,
        tally: Tally,
        rng: np.random.Generator,
    ) -> None:
        self._live, self._visitors, self._calendar, self._tally = live, visitors, calendar, tally
        self._rng = rng
        self._short_per_s: float | None = None  # how fast called moves, over both windows
        self._long_per_s: float | None = None

    def observe(self, snapshot: Snapshot) -> None:
        """Take in what the last tick has told, and work out the pace."""
        self._live.observe(snapshot)
        self._short_per_s = self._live.pace_per_s()
        self._long_per_s = self._live.pace_per_s(pacing.LONG_US)

    def before(self, snapshot: Snapshot, newcomers: Integers, waiting: Integers) -> None:
        """Serve those who wait for the opening."""
        both = np.concatenate([newcomers, waiting])
        self._tally.poll(Asked.PLACE, len(waiting))
        to_opening_s = (snapshot.opens_at_us - snapshot.now_us) / 1_000_000
        budget_per_s = self._live.policy.poll_budget_per_s
        share = self._visitors.crowd.share[both]
        wait_s = polls.opening_poll_s(to_opening_s, snapshot.issued, budget_per_s, share)
        last = wait_s > to_opening_s  # look: then it is the board's, and exactly when it was told
        self._visitors.by_board[both] = last
        self._again(both[~last], wait_s[~last], spread=JITTER)
        self._again(both[last], wait_s[last], spread=0.0)

    def after(
        self, snapshot: Snapshot, newcomers: Integers, waiting: Integers
    ) -> tuple[list[int], Integers]:
        """Serve those who wait in an open wave; return positions that checked in, and who may claim."""
        both = np.concatenate([newcomers, waiting])
        position = self._visitors.position[both]
        claims_again = self._visitors.state[both] == State.CALLED
        near = position < snapshot.near
        by_board = self._visitors.by_board[both]
        self._tally.poll(Asked.BOARD, int(by_board.sum()))
        by_place = (~by_board | near) & ~claims_again
        self._tally.poll(Asked.PLACE, int(by_place[len(newcomers) :].sum()))
        called = position < snapshot.called
        self._tell(snapshot, both[~called], (position[~called] - snapshot.called).astype(float))
        self._ask_again(snapshot, both[~called], position[~called])
        turn = both[called]
        shows = self._visitors.crowd.shows[turn]
        self._visitors.stop_waiting(turn[~shows], State.GONE)
        return position[near & ~called].tolist(), turn[shows]

    def _tell(self, snapshot: Snapshot, visitors: Integers, ahead: Floats) -> None:
        """Tell of the wait and of the places, from the board or from one's own place."""
        if not len(visitors):
            return
        left = places_left(snapshot, self._live.policy)
        by_board = self._visitors.by_board[visitors] & (ahead >= snapshot.near - snapshot.called)
        board = polls.board_eta_s(ahead[by_board], self._long_per_s)
        place = polls.eta_s(ahead[~by_board], self._short_per_s, self._long_per_s)
        for these, ranges in ((visitors[by_board], board), (visitors[~by_board], place)):
            if ranges is not None:
                self._visitors.promise(these, self._tally.tick, *ranges.astype(np.int64))
        self._visitors.unlikely[visitors] = np.where(
            by_board,
            polls.unlikely(ahead, left, 1.0),
            polls.unlikely(ahead, left, completion(snapshot)),
        )

    def _ask_again(self, snapshot: Snapshot, visitors: Integers, position: Integers) -> None:
        """Say when to look again: near ones at every check-in, far ones by what remains."""
        if not len(visitors):
            return
        live = self._live
        check_in_s = live.policy.check_in_s * CHECK_IN_MARGIN
        near = position < snapshot.near
        far_s = np.maximum(0, position - snapshot.near) / live.approach_per_s
        wait_s = polls.poll_s(far_s, live.stretch)
        by_board = self._visitors.by_board[visitors]
        wait_s[~by_board] = np.maximum(check_in_s, wait_s[~by_board])
        wait_s[near] = check_in_s
        # Once the page has the board it goes back to its place only when it is near.
        self._visitors.by_board[visitors] = ~near & (by_board | (wait_s > BOARD_POLL_S_MIN))
        # A crowd that came together must not come back together: its first long wait is spread widely.
        first = self._visitors.by_board[visitors] & ~self._visitors.apart[visitors]
        self._visitors.apart[visitors[first]] = True
        self._again(visitors, wait_s, spread=np.where(first, 1.0, JITTER))

    def _again(self, visitors: Integers, wait_s: Floats, *, spread: Floats | float) -> None:
        shows = self._visitors.crowd.shows[visitors]
        self._visitors.stop_waiting(visitors[~shows], State.GONE)
        width = np.broadcast_to(spread, len(visitors))[shows]
        self._calendar.later(visitors[shows], self._tally.tick, wait_s[shows], spread=width)

    def over_again(self, visitors: Integers) -> None:
        """Serve those who look again at a wave that is over."""
        if not len(visitors):
            return
        self._tally.poll(Asked.BOARD, len(visitors))
        self._visitors.looks_left[visitors] -= 1
        self._over_later(visitors[self._visitors.looks_left[visitors] > 0])

    def over(self, visitors: Integers) -> None:
        """Have some of those who are told that the wave is over look twice more."""
        if not len(visitors):
            return
        stay = visitors[self._rng.random(len(visitors)) < arrivals.LOOKS_AGAIN]
        self._visitors.state[visitors] = State.TOLD
        self._visitors.looks_left[stay] = 2
        self._over_later(stay)

    def _over_later(self, stay: Integers) -> None:
        wait_s = self._live.moment().over_poll_s()
        self._calendar.later(stay, self._tally.tick, np.full(len(stay), wait_s))
