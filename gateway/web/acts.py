"""What becomes of joining, claiming, extending and registering? Their answers, whoever has read the request.

An act is asked with the room, what the request shows, and how to read its body, which is not read before
the credential is verified. What it refuses is raised as a ``Problem``. ``applicant`` asks it behind
aiohttp, ``wait`` for the pages without script, ``lane_acts`` where bytes arrive.
"""

import math
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

from gateway.core.clock import iso
from gateway.core.tickets import sign
from gateway.ports import Accepted, Ended, ExtensionRefused, NotOpen, NotYet
from gateway.services.rooms import LiveRoom
from gateway.web.cookies import Shown
from gateway.web.outcomes import not_open, place_ended, registration_problem
from gateway.web.problems import Problem
from gateway.web.public_services import PublicServices

Body = TypeVar("Body")


class Told(NamedTuple):
    """An answer that is no problem. Nobody may keep it."""

    document: Mapping[str, Any]
    status: int = 200
    cookies: Sequence[str] = ()  # `Set-Cookie` fields
    location: str = ""  # empty: none


Read = Callable[[], Awaitable[Body]]  # raises ``Problem``
Act = Callable[[LiveRoom, Shown, Read[Body]], Awaitable[Told]]


class Acts:
    """The acts, by the names of their endpoints."""

    def __init__(self, services: PublicServices) -> None:
        self._services = services
        self._cookies = services.cookies

    async def join(self, room: LiveRoom, shown: Shown, read: Read[None]) -> Told:
        """Give a ticket, or the one already held."""
        services = self._services
        room.current()  # where it cannot be told how one stands, no number is given
        held = services.held_ticket(shown, room)
        if held is None:
            await services.throttle.join(shown)
        await read()
        welcome = await services.front_door.join(room, held)
        if isinstance(welcome, NotOpen):
            raise not_open(welcome, services.front_door.board(room))
        document = {
            "ticket": welcome.ticket,
            "number": welcome.number,
            "phase": welcome.phase,
            "poll_s": welcome.poll_s,
        }
        kept = services.keep_ticket(shown, room, welcome.ticket)
        return Told(document, 201 if welcome.new else 200, kept)

    async def claim(self, room: LiveRoom, shown: Shown, read: Read[None]) -> Told:
        """Issue a pass, or say when to ask again."""
        services = self._services
        ticket = self._cookies.ticket_of(shown, room.wave.id)
        await read()
        answer = await services.admission.claim(room, ticket)
        match answer:
            case Ended():
                raise place_ended(answer)
            case NotYet():
                retry_in_ms = math.ceil(answer.retry_after_us / 1000)
                return Told({"state": answer.state, "retry_in_ms": retry_in_ms}, 202)
        expires_at = iso(answer.expires_at_us, room.programme.zone)
        kept = services.keep_pass(shown, room, answer.text, answer.expires_at_us)
        document = {"pass": answer.text, "expires_at": expires_at}
        return Told(document, 201 if answer.new else 200, kept)

    async def extend(self, room: LiveRoom, shown: Shown, read: Read[int | None]) -> Told:
        """Lengthen a pass; what is read is how many extensions its holder sees left, if it says so."""
        services = self._services
        held = self._cookies.pass_of(shown, room.wave.id)
        answer = await services.admission.extend(room, held, await read())
        if isinstance(answer, ExtensionRefused):
            exhausted = answer is ExtensionRefused.EXHAUSTED
            raise Problem("extension-exhausted" if exhausted else "pass-ended")
        kept = services.keep_pass(shown, room, sign(self._cookies.pass_keys, held), answer)
        return Told({"expires_at": iso(answer, room.programme.zone)}, cookies=kept)

    async def register(self, room: LiveRoom, shown: Shown, read: Read[Mapping[str, Any]]) -> Told:
        """Take a registration in; the receipt is given after the fsync."""
        services = self._services
        held = self._cookies.pass_of(shown, room.wave.id)
        services.check_attempt(held)
        answer = await services.intake.register(room, held, await read())
        if not isinstance(answer, Accepted):
            raise registration_problem(answer)
        # The same for every repetition: what became of it since is told by the receipt alone.
        at = iso(answer.at_us, room.programme.zone)
        document = {"receipt": answer.receipt, "state": "received", "at": at}
        return Told(document, 201, location=f"/v1/registrations/{answer.receipt}")
