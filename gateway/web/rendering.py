"""Which pages are there, and what does each say? Facts and texts, given to their templates.

What is the same for everybody is made once per language and times, compressed once.
"""

import re
from collections.abc import Sequence
from typing import Any

import segno
from aiohttp import web
from markupsafe import Markup

from gateway.core import receipts
from gateway.core.programme import Programme
from gateway.ports import ReceiptRecord
from gateway.services.rooms import LiveRoom, Rooms
from gateway.web import assets, facts
from gateway.web.clients import origin_of
from gateway.web.documents import Document, make_document
from gateway.web.negotiation import language_of
from gateway.web.problems import Refused
from gateway.web.receipt_views import receipt_poll_s, state_of
from gateway.web.sheets import HTML, Sheets
from gateway.web.texts import Speech, speech

CACHE = "public, max-age=10"
CACHE_SCRIPT = "public, max-age=300"
_WAVE = re.compile(r"(?:/v1)?/waves/([a-z0-9-]{1,64})(?:/|$)")


class Pages(Sheets):
    """Everything that is HTML."""

    def __init__(self, programmes: Sequence[Programme]) -> None:
        self._programmes = programmes
        self._documents: dict[tuple[object, ...], Document] = {}

    def _public(
        self, template: str, says: Speech, programme: Programme | None, path: str, **values: Any
    ) -> Document:
        body, headers = self.render(template, says, programme, path, values)
        del headers["Content-Type"]
        kept = {"Cache-Control": CACHE, "Vary": "Accept-Language, Accept-Encoding"}
        return make_document(body, HTML, headers | kept)

    def home(self, rooms: Rooms, language: str) -> Document:
        """Return the programme page."""
        says = speech(language)
        programmes = [
            {
                "name": says.of(programme.name),
                "prepare": says.of(programme.prepare),
                "waves": [
                    facts.listed(rooms, programme, wave.id, says) for wave in programme.waves
                ],
            }
            for programme in self._programmes
        ]
        only = self._programmes[0] if len(self._programmes) == 1 else None
        title = says("home.title")
        return self._public("home.html", says, only, "/", title=title, programmes=programmes)

    def wave(self, room: LiveRoom, rooms: Rooms, language: str) -> Document:
        """Return the waiting page of a wave."""
        return self._of_wave("wave.html", room, rooms, language, facts.room_facts)

    def wait_script(self, room: LiveRoom, rooms: Rooms, language: str) -> Document:
        """Return what the waiting page does not need in its first second."""
        says = speech(language).for_programme(room.programme)
        key = ("wait.js", room.wave.id, language, *facts.fixed(room, rooms, says).values())
        if key not in self._documents:
            body = facts.wait_texts(room, rooms, says) + assets.script("keep", "draw", "wait")
            kept = {"Cache-Control": CACHE_SCRIPT, "Vary": "Accept-Language, Accept-Encoding"}
            self._documents[key] = make_document(body.encode(), "text/javascript", kept)
        return self._documents[key]

    def draw(self, room: LiveRoom, rooms: Rooms, language: str) -> Document:
        """Return the page that explains the draw and checks it."""
        return self._of_wave("draw.html", room, rooms, language, facts.draw_facts)

    def _of_wave(
        self, template: str, room: LiveRoom, rooms: Rooms, language: str, facts_of: Any
    ) -> Document:
        """Return a page of a wave; made once for what is fixed, which does not change."""
        says = speech(language).for_programme(room.programme)
        fixed = facts.fixed(room, rooms, says)
        key = (template, room.wave.id, language, *fixed.values())
        if key not in self._documents:
            page = f"/waves/{room.wave.id}"
            path = page if template == "wave.html" else f"{page}/draw"
            self._documents[key] = self._public(
                template,
                says,
                room.programme,
                path,
                title=says("open.title" if template == "wave.html" else "draw.title", **fixed),
                page=page,
                commitment=room.commitment(),
                facts=facts_of(room, rooms, says),
            )
        return self._documents[key]

    def receipt(self, request: web.Request, record: ReceiptRecord, room: LiveRoom) -> web.Response:
        """Return a receipt's page: its reference, what became of it, and its address as QR code."""
        says = speech(language_of(request)).for_programme(room.programme)
        zone, values = room.programme.zone, {"wave": facts.wave_name(room, says)}
        state, poll_s = state_of(record), round(receipt_poll_s(room, record))
        automatic = poll_s > 0 and request.query.get("auto") != "0"
        selection = room.programme.selection
        closes = says.when(room.policy.closes_us(room.current().closes_at_us), zone)
        return self.personal(
            request,
            "receipt.html",
            says,
            room.programme,
            request.path,
            title=says.fill(f"{state}.title", values),
            text=says(f"{state}.text"),
            next=says(f"recorded.next.{selection}", closes=closes) if state != "rejected" else "",
            wave=values["wave"],
            reference=receipts.display(record.receipt),
            received=says.when(record.received_at_us, zone),
            recorded=says.when(record.recorded_at_us, zone) if state == "recorded" else "",
            qr=_qr(str(request.url.with_query(None)), says("receipt.alt")),
            action=f"{request.path}?lang={says.language}",
            refreshes=poll_s > 0,
            automatic=automatic,
            refresh_s=poll_s if automatic else 0,
        )

    def device(
        self, request: web.Request, room: LiveRoom, ticket: str, number: int
    ) -> web.Response:
        """Return the page that moves a place: a link and its QR code, the ticket behind ``#``."""
        says = speech(language_of(request)).for_programme(room.programme)
        page = f"/waves/{room.wave.id}"
        link = f"{origin_of(request)}{page}#t={ticket}"
        return self.personal(
            request,
            "device.html",
            says,
            room.programme,
            f"{page}/device",
            title=says("device.title"),
            link=link,
            number=number,
            qr=_qr(link, says("device.alt")),
            back=f"{page}?lang={says.language}",
        )

    def find(self, request: web.Request, *, wrong: bool = False) -> web.Response:
        """Return the page that leads to a receipt by its reference."""
        says = speech(language_of(request))
        title = says("find.title")
        return self.personal(
            request, "find.html", says, None, "/receipts", title=title, wrong=wrong
        )

    def problem(self, request: web.BaseRequest, refused: Refused) -> web.Response:
        """Return a refusal as a page; where waiting helps, it asks again by itself.

        Never for what a form has sent: a refresh asks without it, a reload sends it again.
        """
        path = None if refused.code == "wave-unknown" else _WAVE.match(request.path)
        programme = self._programme_of(path[1]) if path else None
        wait_s, says = refused.retry_after_s or 0, speech(refused.language)
        again, is_known = request.method in {"GET", "HEAD"}, refused.code == "already-registered"
        text = says("already.text") if is_known else refused.detail
        if wait_s and not again:
            text = f"{text} {says('form.resend', s=wait_s)}"
        elif refused.code == "overloaded":
            text = says("busy.page", s=wait_s)
        elif refused.code == "too-many-requests":
            text = says("throttled.text", s=wait_s)
        return self.personal(
            request,
            "problem.html",
            says,
            programme,
            title=says("already.title") if is_known else refused.title,
            text=text,
            find=is_known,
            back=f"/waves/{path[1]}/wait?lang={says.language}" if path else "",
            refresh_s=wait_s if again else 0,
        )

    def _programme_of(self, wave_id: str) -> Programme | None:
        known = (each for each in self._programmes for wave in each.waves if wave.id == wave_id)
        return next(known, None)


def _qr(text: str, title: str) -> Markup:
    drawn = segno.make_qr(text, error="l")
    return Markup(drawn.svg_inline(svgclass="qr", omitsize=True, title=title))  # noqa: S704  squares
