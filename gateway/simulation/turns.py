"""What happens from the turn on? Claims, passes, forms, registrations, leaving.

One call of the core per deed, in the order in which a batch of the gateway's would be answered.
"""

import numpy as np

from gateway.core.passes import Answer
from gateway.simulation.calendar import Calendar
from gateway.simulation.crowd import Integers
from gateway.simulation.tally import TICK_US, TICKS_PER_S, Asked, Tally
from gateway.simulation.visitors import NEVER, State, Visitors
from gateway.simulation.worlds import World

DELIVERED_PER_S = 500  # what a store takes by default
FORM_POLL_S = 5.0  # how often the page looks at its place while the form is open
EXTENDS_BEFORE_S = 30.0  # the end of the pass, if the form is not filled yet
REPEAT_S = 5.0


class Turns:
    """Those whose turn has come."""

    def __init__(
        self,
        world: World,
        visitors: Visitors,
        calendar: Calendar,
        tally: Tally,
    ) -> None:
        self._world, self._visitors, self._calendar, self._tally = world, visitors, calendar, tally
        self._on_form = 0

    def claim(self, visitors: Integers, tick: int, now_us: int) -> None:
        """Have visitors claim, those in front first; a pass opens the form, otherwise they repeat."""
        if not len(visitors):
            return
        self._tally.ask(Asked.CLAIM, len(visitors))
        ordered = visitors[np.argsort(self._visitors.position[visitors], kind="stable")]
        places = self._visitors.position[ordered].tolist()
        pairs = list(zip(ordered.tolist(), places, strict=True))
        answers = self._world.claim(now_us, pairs)
        waits_us = [0 if answer.word == "issued" else answer.wait_us for answer in answers]
        issued = np.array([answer.word == "issued" for answer in answers])
        self._open_forms(ordered[issued], [a for a in answers if a.word == "issued"], tick, now_us)
        again = ordered[~issued]
        self._visitors.state[again] = State.CALLED
        wait_s = np.array(waits_us)[~issued] / 1_000_000
        self._calendar.later(again, tick, wait_s)

    def _open_forms(
        self, visitors: Integers, answers: list[Answer], tick: int, now_us: int
    ) -> None:
        if not answers:
            return
        crowd = self._visitors.crowd
        self._visitors.stop_waiting(visitors, State.FORM)
        self._visitors.served[crowd.person[visitors]] = True
        self._visitors.admitted[visitors] = tick
        self._visitors.serial[visitors] = [answer.serial for answer in answers]
        expires = tick + np.array([answer.instant_us - now_us for answer in answers]) // TICK_US
        self.fill(visitors, expires, tick)

    def fill(self, visitors: Integers, expires: Integers, tick: int) -> None:
        """Have visitors begin with the form; ``expires`` are the ticks at which their passes do."""
        form_s = self._visitors.crowd.form_s[visitors]
        fills = np.isfinite(form_s)
        self._visitors.state[visitors[~fills]] = State.GONE  # the pass expires by itself
        filling = visitors[fills]
        done = tick + np.maximum(1, np.ceil(form_s[fills] * TICKS_PER_S)).astype(np.int64)
        self._visitors.done[filling] = done
        self._visitors.state[filling] = State.FORM
        self._on_form += len(filling)
        before = round(EXTENDS_BEFORE_S * TICKS_PER_S)
        self._calendar.put(filling, np.minimum(done, np.maximum(tick + 1, expires[fills] - before)))

    def fill_forms(self, visitors: Integers, tick: int, now_us: int) -> None:
        """Have visitors send their forms, or ask for more time."""
        for visitor in visitors.tolist():
            if self._visitors.done[visitor] <= tick:
                self._register(visitor, tick, now_us)
            else:
                self._extend(visitor, tick, now_us)

    def _register(self, visitor: int, tick: int, now_us: int) -> None:
        people = self._visitors
        self._tally.ask(Asked.REGISTRATION, int(people.crowd.sends[visitor]))
        person = int(people.crowd.person[visitor])
        answer = self._world.accept(now_us, visitor, int(people.serial[visitor]), person)
        if answer.word == "backlog-full":
            self._at(visitor, tick + round(REPEAT_S * TICKS_PER_S))
            return
        self._on_form -= 1
        people.state[visitor] = State.GONE
        if answer.word == "accepted":
            people.registered[visitor] = True
            self._tally.ask(Asked.RECEIPT, 1)

    def _extend(self, visitor: int, tick: int, now_us: int) -> None:
        answer = self._world.extend(now_us, visitor, int(self._visitors.serial[visitor]))
        if answer.word == "extended":
            expires = tick + (answer.instant_us - now_us) // TICK_US
            before = round(EXTENDS_BEFORE_S * TICKS_PER_S)
            done = int(self._visitors.done[visitor])
            self._at(visitor, max(tick + 1, min(done, expires - before)))
        else:  # no more time: sent when done, and refused
            self._at(visitor, int(self._visitors.done[visitor]))

    def _at(self, visitor: int, tick: int) -> None:
        self._calendar.put(np.array([visitor]), np.array([min(tick, NEVER)]))

    def leave(self, visitors: Integers, now_us: int) -> None:
        """Have visitors give up: most say nothing."""
        people = self._visitors
        people.stop_waiting(visitors, State.GONE)
        people.gave_up[visitors] = True
        loud = visitors[people.crowd.says_goodbye[visitors]]
        self._tally.ask(Asked.LEAVE, len(loud))
        for number in loud.tolist():
            position = int(people.position[number])
            self._world.leave(now_us, number, position if position >= 0 else None)

    def deliver(self, now_us: int) -> None:
        """Have a tick's share of the accepted registrations reach the store."""
        self._world.deliver(now_us, DELIVERED_PER_S // TICKS_PER_S)

    def look_from_forms(self) -> None:
        """Count the looks at the place of all whose form is open."""
        self._tally.look_from_form(self._on_form / FORM_POLL_S / TICKS_PER_S)
