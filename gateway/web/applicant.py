"""The applicant's API: what each of its requests is answered with (design, section 6).

Every handler keeps one order: media type and size, credential, limits, body, service. Nothing asks
Redis before the credential is verified.
"""

import math
import time
from typing import Any

import orjson
from aiohttp import web

from gateway.core.clock import iso
from gateway.core.form import json_schema
from gateway.core.tickets import Kind, sign
from gateway.ports import (
    Accepted,
    Ended,
    Ending,
    ExtensionRefused,
    NotOpen,
    NotYet,
)
from gateway.web.body import JSON_TYPE, expect_body, expect_nothing, read_json, read_nothing
from gateway.web.cookies import shown_ahead
from gateway.web.negotiation import language_of, prefers_html
from gateway.web.outcomes import not_open, place_ended, registration_problem
from gateway.web.problems import Problem, respond
from gateway.web.public_services import PublicServices

BOARD_CACHE = "public, max-age=2"


class Applicant:
    """The handlers, by their names in ``openapi.ENDPOINTS``."""

    def __init__(self, services: PublicServices) -> None:
        self._services = services
        self._cookies = services.cookies

    async def join(self, request: web.Request) -> web.Response:
        """Give a ticket, or the one already held."""
        services, room = self._services, self._services.room_of(request)
        expect_nothing(request)
        try:
            held = self._cookies.held(request, Kind.TICKET, room.wave.id)
        except Problem as problem:
            # No script can remove the cookie: without this its holder could never join again.
            response = respond(request, problem)
            self._cookies.forget(request, response, Kind.TICKET, room.wave.id)
            return response
        if held is None:
            await services.throttle.join(request)
        await read_nothing(request)
        welcome = await services.front_door.join(room, held)
        if isinstance(welcome, NotOpen):
            raise not_open(welcome, services.front_door.board(room))
        document = {
            "ticket": welcome.ticket,
            "number": welcome.number,
            "phase": welcome.phase,
            "poll_s": welcome.poll_s,
        }
        response = json_response(document, status=201 if welcome.new else 200)
        services.keep_ticket(request, response, room, welcome.ticket)
        return response

    async def board(self, request: web.Request) -> web.Response:
        """Show the public document."""
        document = self._services.front_door.board(self._services.room_of(request))
        return json_response(document, cache=BOARD_CACHE)

    async def place(self, request: web.Request) -> web.Response:
        """Show the holder of a ticket its own document."""
        services, room = self._services, self._services.room_of(request)
        ticket = self._cookies.ticket_of(request, room.wave.id)
        services.check_poll(ticket)
        shown = shown_ahead(request.query.get("ahead"))
        document = await services.front_door.place(room, ticket, shown)
        services.count_poll(ticket.wave_id, ticket.number, document["poll_s"], time.monotonic())
        return json_response(document)

    async def leave(self, request: web.Request) -> web.Response:
        """Give the place back."""
        services, room = self._services, self._services.room_of(request)
        ticket = self._cookies.ticket_of(request, room.wave.id)
        ended = await services.front_door.leave(room, ticket)
        if ended.why is Ending.REGISTERED:
            raise Problem("already-registered")
        response = web.Response(status=204, headers={"Cache-Control": "no-store"})
        self._cookies.forget(request, response, Kind.PASS, room.wave.id)
        return response

    async def claim(self, request: web.Request) -> web.Response:
        """Issue a pass, or say when to ask again."""
        services, room = self._services, self._services.room_of(request)
        expect_nothing(request)
        ticket = self._cookies.ticket_of(request, room.wave.id)
        await read_nothing(request)
        answer = await services.admission.claim(room, ticket)
        match answer:
            case Ended():
                raise place_ended(answer)
            case NotYet():
                retry_in_ms = math.ceil(answer.retry_after_us / 1000)
                return json_response(
                    {"state": answer.state, "retry_in_ms": retry_in_ms}, status=202
                )
        expires_at = iso(answer.expires_at_us, room.programme.zone)
        document = {"pass": answer.text, "expires_at": expires_at}
        response = json_response(document, status=201 if answer.new else 200)
        expires_at_us = answer.expires_at_us
        services.keep_pass(request, response, room, answer.text, expires_at_us=expires_at_us)
        return response

    async def extend(self, request: web.Request) -> web.Response:
        """Lengthen a pass."""
        services, room = self._services, self._services.room_of(request)
        expect_nothing(request)
        held = self._cookies.pass_of(request, room.wave.id)
        await read_nothing(request)
        answer = await services.admission.extend(room, held)
        if isinstance(answer, ExtensionRefused):
            exhausted = answer is ExtensionRefused.EXHAUSTED
            raise Problem("extension-exhausted" if exhausted else "pass-ended")
        response = json_response({"expires_at": iso(answer, room.programme.zone)})
        text = sign(self._cookies.pass_keys, held)
        services.keep_pass(request, response, room, text, expires_at_us=answer)
        return response

    async def form(self, request: web.Request) -> web.Response:
        """Show what is to be filled in, as JSON Schema."""
        room = self._services.room_of(request)
        schema = json_schema(room.programme.fields, language_of(request))
        response = json_response(schema, cache="public, max-age=60")
        response.headers["Vary"] = "Accept-Language"
        return response

    async def register(self, request: web.Request) -> web.Response:
        """Take a registration in; the receipt is given after the fsync."""
        services, room = self._services, self._services.room_of(request)
        expect_body(request, JSON_TYPE)
        held = self._cookies.pass_of(request, room.wave.id)
        services.check_attempt(held)
        answer = await services.intake.register(room, held, await read_json(request))
        if not isinstance(answer, Accepted):
            raise registration_problem(answer)
        # The same for every repetition: what became of it since is told by the receipt alone.
        at = iso(answer.at_us, room.programme.zone)
        response = json_response(
            {"receipt": answer.receipt, "state": "received", "at": at}, status=201
        )
        response.headers["Location"] = f"/v1/registrations/{answer.receipt}"
        return response

    async def receipt(self, request: web.Request) -> web.Response:
        """Show what became of a registration. No personal data."""
        record = await self._services.intake.receipt(request.match_info["receipt"])
        room = None if record is None else self._services.rooms.get(record.wave_id)
        if record is None or room is None:
            raise Problem("receipt-unknown")
        if self._services.receipt_page is not None and prefers_html(request):
            return self._services.receipt_page(request, record, room)
        zone = room.programme.zone
        document = {
            "receipt": record.receipt,
            "wave": record.wave_id,
            "state": record.state,
            "received_at": iso(record.received_at_us, zone),
            "recorded_at": iso(record.recorded_at_us, zone) if record.recorded_at_us else None,
        }
        return json_response(document)


def json_response(document: Any, *, status: int = 200, cache: str = "no-store") -> web.Response:
    """Return a document as JSON."""
    return web.Response(
        body=orjson.dumps(document),
        status=status,
        content_type=JSON_TYPE,
        headers={"Cache-Control": cache},
    )
