"""The applicant's API: what each of its requests is answered with (design, section 6).

Every handler keeps one order: media type and size, credential, limits, body, service. Nothing asks
Redis before the credential is verified. What changes something is decided in ``acts``.
"""

import gzip
import time
from functools import lru_cache, partial
from typing import Any

import orjson
from aiohttp import web

from gateway.core.clock import iso
from gateway.core.form import json_schema
from gateway.core.tickets import Kind
from gateway.ports import Ending
from gateway.services.rooms import LiveRoom
from gateway.web.acts import Act, Acts, Told
from gateway.web.body import JSON_TYPE, expect_body, expect_nothing, read_json, read_nothing
from gateway.web.cookies import add_cookies, shown_by, shown_count
from gateway.web.documents import Document, make_document, serve
from gateway.web.negotiation import Language, accepts_gzip, language_of, prefers_html
from gateway.web.problems import Problem
from gateway.web.public_services import PublicServices

BOARD_CACHE, FORM_CACHE = "public, max-age=2", "public, max-age=60"
FORMS_MAX = 256  # waves and languages


@lru_cache(maxsize=FORMS_MAX)  # a programme is fixed while its process lives
def form_document(room: LiveRoom, language: Language) -> Document:
    """Return what is to be filled in, as JSON Schema."""
    schema = orjson.dumps(json_schema(room.programme.fields, language))
    kept = {"Cache-Control": FORM_CACHE, "Vary": "Accept-Language, Accept-Encoding"}
    return make_document(schema, JSON_TYPE, kept)


class Applicant:
    """The handlers, by their names in ``openapi.ENDPOINTS``."""

    def __init__(self, services: PublicServices) -> None:
        self._services = services
        self._cookies = services.cookies
        self._acts = Acts(services)

    async def join(self, request: web.Request) -> web.Response:
        """Give a ticket, or the one already held."""
        return await self._with_nothing(request, self._acts.join)

    async def board(self, request: web.Request) -> web.Response:
        """Show the public document."""
        document = self._services.front_door.board(self._services.room_of(request))
        return board_response(document, gzipped=accepts_gzip(request))

    async def place(self, request: web.Request) -> web.Response:
        """Show the holder of a ticket its own document."""
        services, room = self._services, self._services.room_of(request)
        ticket = self._cookies.ticket_of(shown_by(request), room.wave.id)
        services.check_poll(ticket)
        shown = shown_count(request.query.get("ahead"))
        document = await services.front_door.place(room, ticket, shown)
        services.count_poll(ticket.wave_id, ticket.number, document["poll_s"], time.monotonic())
        return json_response(document)

    async def leave(self, request: web.Request) -> web.Response:
        """Give the place back."""
        services, room = self._services, self._services.room_of(request)
        shown = shown_by(request)
        ticket = self._cookies.ticket_of(shown, room.wave.id)
        ended = await services.front_door.leave(room, ticket)
        if ended.why is Ending.REGISTERED:
            raise Problem("already-registered")
        response = web.Response(status=204, headers={"Cache-Control": "no-store"})
        add_cookies(response, [self._cookies.forget(shown, Kind.PASS, room.wave.id)])
        return response

    async def claim(self, request: web.Request) -> web.Response:
        """Issue a pass, or say when to ask again."""
        return await self._with_nothing(request, self._acts.claim)

    async def extend(self, request: web.Request) -> web.Response:
        """Lengthen a pass."""

        async def read() -> int | None:
            await read_nothing(request)
            return shown_count(request.query.get("extensions_left"))

        room = self._services.room_of(request)
        expect_nothing(request)
        return respond_told(await self._acts.extend(room, shown_by(request), read))

    async def form(self, request: web.Request) -> web.Response:
        """Show what is to be filled in."""
        room = self._services.room_of(request)
        return serve(request, form_document(room, language_of(request)))

    async def register(self, request: web.Request) -> web.Response:
        """Take a registration in; the receipt is given after the fsync."""
        room = self._services.room_of(request)
        expect_body(request, JSON_TYPE)
        return respond_told(
            await self._acts.register(room, shown_by(request), partial(read_json, request))
        )

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

    async def _with_nothing(self, request: web.Request, act: Act[None]) -> web.Response:
        room = self._services.room_of(request)
        expect_nothing(request)
        return respond_told(await act(room, shown_by(request), partial(read_nothing, request)))


def respond_told(told: Told) -> web.Response:
    """Return what an act has told."""
    response = json_response(told.document, status=told.status)
    if told.location:
        response.headers["Location"] = told.location
    add_cookies(response, told.cookies)
    return response


def board_response(document: Any, *, gzipped: bool) -> web.Response:
    """Return a board as it travels: the same to all who take gzip, and to all who do not."""
    response = json_response(document, cache=BOARD_CACHE)
    response.headers["Vary"] = "Accept-Encoding"
    if gzipped:
        response.headers["Content-Encoding"] = "gzip"
        response.body = gzip.compress(orjson.dumps(document), 9, mtime=0)
    return response


def json_response(document: Any, *, status: int = 200, cache: str = "no-store") -> web.Response:
    """Return a document as JSON."""
    return web.Response(
        body=orjson.dumps(document),
        status=status,
        content_type=JSON_TYPE,
        headers={"Cache-Control": cache},
    )
