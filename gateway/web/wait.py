"""The whole way without script: every state as a page of its own, every step a form.

The same services, cookies and refusals as the API. A step answers with 303 to the page, so that
reloading repeats nothing; only a form with errors is shown again at once, with what was typed.
"""

import time
from collections.abc import Mapping

from aiohttp import web

from gateway.core.tickets import Kind, sign
from gateway.ports import Accepted, Ended, Ending, ExtensionRefused, NotOpen, NotYet
from gateway.services.rooms import LiveRoom
from gateway.web.body import expect_body, read_form
from gateway.web.cookies import add_cookies, shown_by
from gateway.web.negotiation import language_of
from gateway.web.outcomes import not_open, place_ended, registration_problem
from gateway.web.problems import Problem
from gateway.web.public_services import PublicServices
from gateway.web.rendering import Pages
from gateway.web.texts import speech
from gateway.web.wait_views import Filled, form_of, inside, outside, tidied

FORM_TYPE = "application/x-www-form-urlencoded"
SLOWER = 2.0  # a page without script costs a whole page: it asks half as often
REFRESH_S_MIN = 3


class WaitingRoom:
    """The handlers of ``/waves/{wave}/wait``."""

    def __init__(self, services: PublicServices, pages: Pages) -> None:
        self._services = services
        self._pages = pages

    async def show(self, request: web.Request) -> web.Response:
        """Show how this visitor stands."""
        return await self._page(request, self._services.room_of(request), Filled())

    async def act(self, request: web.Request) -> web.StreamResponse:
        """Do what a button says, and lead back to the page."""
        room = self._services.room_of(request)
        expect_body(request, FORM_TYPE)
        values = dict(await read_form(request))
        steps = {
            "join": self._join,
            "claim": self._claim,
            "extend": self._extend,
            "leave": self._leave,
        }
        action = values.pop("action", "")
        if action == "register":
            return await self._register(request, room, values)
        if action not in steps:
            raise Problem("form-invalid")
        response = _back(request, room)
        await steps[action](request, response, room)
        return response

    async def _join(self, request: web.Request, response: web.Response, room: LiveRoom) -> None:
        shown = shown_by(request)
        held = self._services.cookies.held(shown, Kind.TICKET, room.wave.id)
        if held is None:
            await self._services.throttle.join(shown)
        welcome = await self._services.front_door.join(room, held)
        if isinstance(welcome, NotOpen):
            raise not_open(welcome, self._services.front_door.board(room))
        add_cookies(response, self._services.keep_ticket(shown, room, welcome.ticket))

    async def _claim(self, request: web.Request, response: web.Response, room: LiveRoom) -> None:
        shown = shown_by(request)
        ticket = self._services.cookies.ticket_of(shown, room.wave.id)
        answer = await self._services.admission.claim(room, ticket)
        if isinstance(answer, Ended):
            raise place_ended(answer)
        if not isinstance(answer, NotYet):
            lines = self._services.keep_pass(shown, room, answer.text, answer.expires_at_us)
            add_cookies(response, lines)

    async def _extend(self, request: web.Request, response: web.Response, room: LiveRoom) -> None:
        shown = shown_by(request)
        held = self._services.cookies.pass_of(shown, room.wave.id)
        answer = await self._services.admission.extend(room, held)
        if isinstance(answer, ExtensionRefused):
            exhausted = answer is ExtensionRefused.EXHAUSTED
            raise Problem("extension-exhausted" if exhausted else "pass-ended")
        text = sign(self._services.cookies.pass_keys, held)
        add_cookies(response, self._services.keep_pass(shown, room, text, answer))

    async def _leave(self, request: web.Request, response: web.Response, room: LiveRoom) -> None:
        shown, cookies = shown_by(request), self._services.cookies
        ticket = cookies.ticket_of(shown, room.wave.id)
        ended = await self._services.front_door.leave(room, ticket)
        if ended.why is Ending.REGISTERED:
            raise Problem("already-registered")
        add_cookies(response, [cookies.forget(shown, Kind.PASS, room.wave.id)])

    async def _register(
        self, request: web.Request, room: LiveRoom, values: Mapping[str, str]
    ) -> web.StreamResponse:
        held = self._services.cookies.pass_of(shown_by(request), room.wave.id)
        self._services.check_attempt(held)
        tidy = {name: tidied(room, name, value) for name, value in values.items()}
        answer = await self._services.intake.register(room, held, tidy)
        if isinstance(answer, Accepted):
            return _back(request, room)
        if not isinstance(answer, tuple):
            raise registration_problem(answer)
        codes = {error.pointer[1:]: error.code for error in answer}
        response = await self._page(request, room, Filled(values, codes))
        response.set_status(422)
        return response

    async def _page(self, request: web.Request, room: LiveRoom, filled: Filled) -> web.Response:
        language, ahead, shown = language_of(request), None, shown_by(request)
        says = speech(language)
        ticket = self._services.cookies.held(shown, Kind.TICKET, room.wave.id)
        if ticket is None:
            view = outside(self._services.front_door.board(room), says, room)
        else:
            self._services.check_poll(ticket)
            before = self._services.cookies.ahead_of(shown, ticket)
            place = await self._services.front_door.place(room, ticket, before)
            self._services.count_poll(
                ticket.wave_id, ticket.number, place["poll_s"], time.monotonic()
            )
            view = inside(place, says, room)
            ahead = place["ahead"]
        if view["state"] == "admitted":
            view |= form_of(room, language, says, filled)
        action = f"/waves/{room.wave.id}/wait?lang={language}"
        automatic = request.query.get("auto") != "0" and view["state"] != "admitted"
        refreshes = view["poll_s"] > 0
        wait_s = max(REFRESH_S_MIN, round(view["poll_s"] * _pace(view["state"])))
        body = self._pages.html(
            "wait.html",
            language,
            action=action,
            again=view["state"] == "left",
            refreshes=refreshes,
            refresh_s=wait_s if automatic and refreshes else 0,
            other=f"/waves/{room.wave.id}/wait?lang={'en' if language == 'id' else 'id'}",
            **({"fields": [], "errors": {}, "values": {}, "receipt": ""} | view),
            **self._pages.of(room.programme, language),
        )
        response = web.Response(body=body, headers=self._pages.headers())
        if ticket is not None and ahead is not None:
            add_cookies(response, [self._services.cookies.keep_ahead(shown, ticket, ahead)])
        return response


def _pace(state: str) -> float:
    """Near the front the page must be seen at every check-in; elsewhere it may take its time."""
    return 1.0 if state in {"called", "waiting"} else SLOWER


def _back(request: web.Request, room: LiveRoom) -> web.Response:
    """Lead to the page: a reload there repeats nothing."""
    location = f"/waves/{room.wave.id}/wait?lang={language_of(request)}"
    return web.Response(status=303, headers={"Location": location, "Cache-Control": "no-store"})
