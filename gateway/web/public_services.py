"""What the public listener speaks for, and what API and pages without script do alike.

Which room a path names, what browsers keep, how often one ticket or pass may ask.
"""

import math
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from aiohttp import web

from gateway.core.flood import Throttled
from gateway.core.tickets import Credential, Kind
from gateway.ports import ReceiptRecord
from gateway.services.admission import Admission
from gateway.services.front_door import FrontDoor
from gateway.services.intake import Intake
from gateway.services.rooms import LiveRoom, Rooms
from gateway.web.cookies import Cookies, Shown
from gateway.web.limits import BURST, Pace
from gateway.web.problems import Problem
from gateway.web.throttle import Throttle

ATTEMPT_INTERVAL_S = 6.0  # 10 registration attempts a minute with one pass
TICKET_GRACE_S = 7 * 86_400  # after the wave: for the receipt, and should the wave be extended
_WAVE = re.compile(r"[a-z0-9-]{1,64}")


ReceiptPage = Callable[[web.Request, ReceiptRecord, LiveRoom], web.Response]


@dataclass(frozen=True, slots=True)
class PublicServices:
    """What the public listener speaks for."""

    rooms: Rooms
    front_door: FrontDoor
    admission: Admission
    intake: Intake
    cookies: Cookies
    throttle: Throttle
    receipt_page: ReceiptPage | None = None  # for browsers; None: JSON for everybody
    polls: Pace = field(default_factory=Pace)  # by ticket
    attempts: Pace = field(default_factory=Pace)  # by pass

    def room_of(self, request: web.Request) -> LiveRoom:
        """Return the room that the path names.

        Raises:
            Problem: 404 ``wave-unknown``.

        """
        wave_id = request.match_info["wave"]
        room = self.rooms.get(wave_id) if _WAVE.fullmatch(wave_id) else None
        if room is None:
            raise Problem("wave-unknown")
        return room

    def held_ticket(self, shown: Shown, room: LiveRoom) -> Credential | None:
        """Return the visitor's ticket, or None when none is shown.

        Raises:
            Problem: 403 for one that we did not make, 400 for two different ones; the browser forgets
                it: no script can remove the cookie, and its holder could never join again.

        """
        try:
            return self.cookies.held(shown, Kind.TICKET, room.wave.id)
        except Problem as problem:
            forgotten = self.cookies.forget(shown, Kind.TICKET, room.wave.id)
            raise Problem(problem.code, headers={"Set-Cookie": forgotten}) from None

    def keep_ticket(self, shown: Shown, room: LiveRoom, text: str) -> Sequence[str]:
        """Return what has the browser keep its ticket until the wave is over."""
        closes_us = room.policy.closes_us(room.current().closes_at_us)
        life_s = _seconds_to(room, closes_us) + TICKET_GRACE_S
        return self.cookies.keep(shown, Kind.TICKET, room.wave.id, text=text, life_s=life_s)

    def keep_pass(
        self, shown: Shown, room: LiveRoom, text: str, expires_at_us: int
    ) -> Sequence[str]:
        """Return what has the browser keep its pass for the life of it."""
        life_s = _seconds_to(room, expires_at_us)
        return self.cookies.keep(shown, Kind.PASS, room.wave.id, text=text, life_s=life_s)

    def check_attempt(self, held: Credential) -> None:
        """Count one attempt to register with a pass.

        Raises:
            Problem: 429 ``too-many-requests``.

        """
        key, now_s = (held.wave_id, held.number, held.serial), time.monotonic()
        wait_s = self.attempts.wait_s(key, now_s=now_s)
        if wait_s > 0:
            raise self.throttle.refusal(Throttled.PASS, wait_s)
        self.attempts.count(key, ATTEMPT_INTERVAL_S, now_s=now_s)

    def check_poll(self, ticket: Credential) -> None:
        """Refuse a ticket that asks far more often than it was told to.

        Raises:
            Problem: 429 ``too-many-requests``.

        """
        wait_s = self.poll_wait_s(ticket.wave_id, ticket.number, time.monotonic())
        if wait_s > 0:
            raise self.throttle.refusal(Throttled.TICKET, wait_s)

    def poll_wait_s(self, wave_id: str, number: int, now_s: float) -> float:
        """Return how long the ticket with this number has to wait; 0 when it may ask."""
        return self.polls.wait_s((wave_id, number), now_s=now_s)

    def count_poll(self, wave_id: str, number: int, told_s: float, now_s: float) -> None:
        """Count one look at a place, with the interval it was told."""
        self.polls.count((wave_id, number), told_s / BURST, now_s=now_s)


def _seconds_to(room: LiveRoom, instant_us: int) -> int:
    return max(0, math.ceil((instant_us - room.now_us()) / 1_000_000))
