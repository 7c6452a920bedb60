"""What is counted during a simulated day? Requests by class and second, and how the room stood.

Two kinds of requests come beside the polls that the server asks for, and are kept apart: what the
impatient load unasked, and the open form, which looks at its place now and then.
"""

from enum import IntEnum

import numpy as np

from gateway.core.snapshot import Snapshot

TICK_US = 200_000  # how often a front door looks at its room
TICKS_PER_S = 1_000_000 // TICK_US


class Asked(IntEnum):
    """Classes of requests."""

    PAGE = 0
    BOARD = 1
    PLACE = 2
    JOIN = 3
    CLAIM = 4
    REGISTRATION = 5
    RECEIPT = 6
    LEAVE = 7


class Tally:
    """Counts by second or tick; index 0 is the first of the simulation."""

    def __init__(self, tick_count: int) -> None:
        seconds = tick_count // TICKS_PER_S + 1
        self.requests = np.zeros((seconds, len(Asked)))
        self.polls = np.zeros(seconds, np.int64)  # asked for by the server; of the above
        self.unasked = np.zeros(seconds)  # by the impatient; of the above
        self.form_polls = np.zeros(seconds)  # places looked at from the form; of the above
        self.expected = np.zeros(seconds)  # polls per second by the formula
        self.waiting = np.zeros(seconds, np.int64)  # joined, there and not admitted
        self.arrived = np.zeros(seconds, np.int64)
        self.called = np.zeros(tick_count + 1, np.int64)
        self.admitted = np.zeros(tick_count + 1, np.int64)
        self.accepted = np.zeros(tick_count + 1, np.int64)
        self.outstanding = np.zeros(tick_count + 1, np.int64)
        self.full_tick: int | None = None
        self.tick = 0
        self._second = 0

    def at(self, tick: int) -> None:
        """Count from here on into the second of this tick."""
        self.tick = tick
        self._second = tick // TICKS_PER_S

    def ask(self, what: Asked, count: float) -> None:
        """Count requests."""
        self.requests[self._second, what] += count

    def poll(self, what: Asked, count: int) -> None:
        """Count requests that come because the server asked for them."""
        self.requests[self._second, what] += count
        self.polls[self._second] += count

    def impatient(self, reloads: float, looks: float) -> None:
        """Count what nobody asked for: whole pages, whose script looks at the place, and looks alone."""
        self.requests[self._second, Asked.PAGE] += reloads
        self.requests[self._second, Asked.PLACE] += reloads + looks
        self.unasked[self._second] += 2 * reloads + looks

    def look_from_form(self, count: float) -> None:
        """Count looks at the place while the form is open."""
        self.requests[self._second, Asked.PLACE] += count
        self.form_polls[self._second] += count

    def stand(self, tick: int, snapshot: Snapshot, waiting: int, expected_per_s: float) -> None:
        """Note how the room stands after a tick."""
        self.called[tick] = snapshot.called
        self.admitted[tick] = snapshot.admitted
        self.accepted[tick] = snapshot.accepted
        self.outstanding[tick] = snapshot.outstanding
        self.waiting[self._second] = waiting
        self.expected[self._second] = expected_per_s
