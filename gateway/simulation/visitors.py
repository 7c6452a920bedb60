"""Where does each visitor stand? The crowd's mutable side, as arrays by number.

Visitors join in order of arrival, so that a visitor's index is its number for as long as numbers are
given; who comes to a full wave never gets one.
"""

from enum import IntEnum

import numpy as np

from gateway.simulation import arrivals
from gateway.simulation.crowd import Crowd, Flags, Integers
from gateway.simulation.tally import TICKS_PER_S

NEVER = np.iinfo(np.int64).max


class State(IntEnum):
    """What a visitor is about. The order counts: up to CALLED it waits."""

    AWAY = 0  # has not come yet
    WAITING = 1
    CALLED = 2  # its next deed is a claim
    FORM = 3
    TOLD = 4  # that the wave is over; may look again
    GONE = 5  # for good, whatever the reason


class Visitors:
    """Everybody."""

    def __init__(self, crowd: Crowd) -> None:
        count = len(crowd)
        self.crowd = crowd
        self.state = np.full(count, State.AWAY, np.int8)
        self.position: Integers = np.full(count, -1, np.int64)  # -1 before the draw
        self.since: Integers = np.zeros(
            count, np.int64
        )  # tick of joining, or of the opening if later
        self.first_low: Integers = np.full(
            count, -1, np.int64
        )  # first range told, ticks; -1: none yet
        self.first_high: Integers = np.full(count, -1, np.int64)
        self.unlikely: Flags = np.zeros(count, np.bool_)  # was told so
        self.by_board: Flags = np.zeros(count, np.bool_)  # far enough to ask for the board
        self.apart: Flags = np.zeros(count, np.bool_)  # its first long wait has been spread widely
        self.looks_left = np.zeros(count, np.int8)  # after being told that the wave is over
        self.admitted: Integers = np.full(count, -1, np.int64)  # tick
        self.serial: Integers = np.zeros(count, np.int64)  # of the pass
        self.done: Integers = np.full(count, NEVER, np.int64)  # tick at which the form is filled
        self.registered: Flags = np.zeros(count, np.bool_)
        self.gave_up: Flags = np.zeros(count, np.bool_)
        self.served: Flags = np.zeros(int(crowd.person.max(initial=-1)) + 1, np.bool_)  # by person
        self.by_habit: Integers = np.zeros(len(arrivals.HABITS), np.int64)  # those who wait

    @property
    def waiting_count(self) -> int:
        """How many have joined, are there and wait."""
        return int(self.by_habit.sum())

    @property
    def impatient_per_s(self) -> tuple[float, float]:
        """How many pages those who wait load anew, how many places they look at unasked, per second."""
        habits = arrivals.HABITS.values()
        counts: list[int] = self.by_habit.tolist()
        people = [
            (count / habit.tickets, habit) for count, habit in zip(counts, habits, strict=True)
        ]
        reloads = sum(count / habit.reload_s for count, habit in people)
        return reloads, sum(count / habit.hammer_s for count, habit in people)

    def come(self, visitors: Integers, tick: int) -> None:
        """Have visitors join."""
        self.state[visitors] = State.WAITING
        self.since[visitors] = tick
        self.by_habit += self._habits(visitors)

    def stop_waiting(self, visitors: Integers, state: State) -> None:
        """Have waiting visitors go on to something else."""
        self.by_habit -= self._habits(visitors)
        self.state[visitors] = state

    def drop(self, visitors: Integers) -> None:
        """Let waiting visitors vanish."""
        self.stop_waiting(visitors, State.GONE)

    def _habits(self, visitors: Integers) -> Integers:
        return np.bincount(self.crowd.habit[visitors], minlength=len(self.by_habit))

    def losing_patience(self, visitors: Integers, tick: int) -> Flags:
        """Say who of the waiting has had enough; who is told more waits longer, or goes sooner."""
        told = np.where(self.first_low[visitors] >= 0, arrivals.PATIENCE_IF_TOLD, 1.0)
        factor = np.where(self.unlikely[visitors], arrivals.PATIENCE_IF_UNLIKELY, told)
        waited_s = (tick - self.since[visitors]) / TICKS_PER_S
        return waited_s > self.crowd.patience_s[visitors] * factor

    def promise(self, visitors: Integers, tick: int, low_s: Integers, high_s: Integers) -> None:
        """Note the first range that visitors are told."""
        first = self.first_low[visitors] < 0
        these = visitors[first]
        self.first_low[these] = tick + low_s[first] * TICKS_PER_S
        self.first_high[these] = tick + high_s[first] * TICKS_PER_S
