"""The whole way without script: every state as a page of its own, every step a form.

The same services, cookies and refusals as the API. A step answers with 303 to the page, so that
reloading repeats nothing; only a form with errors, or one that could not be taken in, is shown again at
once, with what was typed.
"""

import time
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from aiohttp import web

from gateway.core.form import FieldError
from gateway.core.tickets import Credential, Kind
from gateway.ports import (
    Accepted,
    Ending,
    OutcomeUnknownError,
    PortUnavailableError,
    ReceiptRecord,
    Refusal,
    RoomMissingError,
)
from gateway.services.rooms import LiveRoom
from gateway.web.acts import Acts
from gateway.web.body import expect_body, read_form
from gateway.web.cookies import add_cookies, shown_by, shown_count
from gateway.web.facts import form_facts, wave_texts
from gateway.web.negotiation import language_of, prefers_html
from gateway.web.outcomes import registration_problem
from gateway.web.problems import (
    Problem,
    ProblemStyle,
    Refused,
    from_exception,
    request_id,
    respond,
)
from gateway.web.public_services import PublicServices
from gateway.web.rendering import Pages
from gateway.web.texts import Speech, speech
from gateway.web.wait_views import Filled, form_of, inside, outside, refilled, tidied

FORM_TYPE = "application/x-www-form-urlencoded"
SLOWER = 2.0  # a page without script costs a whole page: it asks half as often
REFRESH_S_MIN = 3
# What leaves a registration undone without its sender's fault, or unknown: it is sent again.
UNDONE = (Problem, PortUnavailableError, OutcomeUnknownError, RoomMissingError, TimeoutError)
# Only one's own turn and receipt are at home here; the rest has a page that needs no person.
SCRIPTS: Mapping[str, Sequence[str]] = {
    "admitted": ("common", "keep", "form"),
    "registered": (),
    "refilled": (),
}


class WaitingRoom:
    """The handlers of ``/waves/{wave}/wait``."""

    def __init__(self, services: PublicServices, pages: Pages) -> None:
        self._services = services
        self._acts = Acts(services)
        self._pages = pages

    async def show(self, request: web.Request) -> web.Response:
        """Show how this visitor stands."""
        return await self._page(request, self._services.room_of(request), Filled())

    async def act(self, request: web.Request) -> web.StreamResponse:
        """Do what a button says, and lead back to the page."""
        room = self._services.room_of(request)
        expect_body(request, FORM_TYPE)
        values = dict(await read_form(request))
        action = values.pop("action", "")
        if action == "register":
            return await self._register(request, room, values)
        if action == "leave":
            return await self._leave(request, room)
        left = shown_count(values.get("extensions_left"))
        step = {
            "join": partial(self._acts.join, read=_nothing),
            "claim": partial(self._acts.claim, read=_nothing),
            "extend": partial(self._acts.extend, read=partial(_seen, left)),
        }
        if action not in step:
            raise Problem("form-invalid")
        told = await step[action](room, shown_by(request))
        response = _back(request, room)
        add_cookies(response, told.cookies)
        return response

    async def _leave(self, request: web.Request, room: LiveRoom) -> web.Response:
        shown, cookies = shown_by(request), self._services.cookies
        ticket = cookies.ticket_of(shown, room.wave.id)
        ended = await self._services.front_door.leave(room, ticket)
        if ended.why is Ending.REGISTERED:
            raise Problem("already-registered")
        response = _back(request, room)
        add_cookies(response, [cookies.forget(shown, Kind.PASS, room.wave.id)])
        return response

    async def _register(
        self, request: web.Request, room: LiveRoom, values: Mapping[str, str]
    ) -> web.StreamResponse:
        try:
            errors = await self._take_in(request, room, values)
        except UNDONE as error:
            problem = from_exception(partial(request_id, request), error)
            if problem.status not in {429, 503} or not prefers_html(request):
                raise
            return respond(
                request, problem, ProblemStyle(render=partial(self._again, room, values))
            )
        if not errors:
            return _back(request, room)
        codes = {error.pointer[1:]: error.code for error in errors}
        response = await self._page(request, room, Filled(values, codes))
        response.set_status(422)
        return response

    async def _take_in(
        self, request: web.Request, room: LiveRoom, values: Mapping[str, str]
    ) -> Sequence[FieldError]:
        """Register, or return what is wrong with the fields."""
        held = self._services.cookies.pass_of(shown_by(request), room.wave.id)
        self._services.check_attempt(held)
        tidy = {name: tidied(room, name, value) for name, value in values.items()}
        answer = await self._services.intake.register(room, held, tidy)
        if isinstance(answer, Refusal):
            raise registration_problem(answer)
        return () if isinstance(answer, Accepted) else answer

    def _again(
        self, room: LiveRoom, values: Mapping[str, str], request: web.BaseRequest, refused: Refused
    ) -> web.Response:
        """Show the form with what was typed, and why it is to be sent again: no port is asked."""
        says = speech(refused.language).for_programme(room.programme)
        texts = wave_texts(room, self._services.rooms, says)
        reason = f"{refused.title}. {refused.detail} {says('form.again', s=refused.retry_after_s)}"
        view = refilled(texts, reason) | form_of(room, says, Filled(values))
        return self._respond(request, room, says, texts, view)

    async def _page(self, request: web.Request, room: LiveRoom, filled: Filled) -> web.Response:
        says = speech(language_of(request)).for_programme(room.programme)
        texts = wave_texts(room, self._services.rooms, says)
        ticket = self._services.held_ticket(shown_by(request), room)
        if ticket is None:
            place: Mapping[str, Any] = {"ahead": None}
            view = outside(self._services.front_door.board(room), texts, says, room)
        else:
            place = await self._place(request, room, ticket)
            view = inside(place, texts, says, room, await self._record(place))
        if view["state"] == "admitted":
            view |= form_of(room, says, filled)
            view["facts"] = form_facts(room, self._services.rooms, says, place)
        response = self._respond(request, room, says, texts, view)
        if ticket is not None and place["ahead"] is not None:
            line = self._services.cookies.keep_ahead(shown_by(request), ticket, place["ahead"])
            add_cookies(response, [line])
        return response

    async def _place(
        self, request: web.Request, room: LiveRoom, ticket: Credential
    ) -> Mapping[str, Any]:
        services = self._services
        services.check_poll(ticket)
        shown = services.cookies.ahead_of(shown_by(request), ticket)
        place = await services.front_door.place(room, ticket, shown)
        services.count_poll(ticket.wave_id, ticket.number, place["poll_s"], time.monotonic())
        return place

    async def _record(self, place: Mapping[str, Any]) -> ReceiptRecord | None:
        return await self._services.intake.receipt(place.get("receipt", ""))

    def _respond(
        self,
        request: web.BaseRequest,
        room: LiveRoom,
        says: Speech,
        texts: Mapping[str, str],
        view: Mapping[str, Any],
    ) -> web.Response:
        page, state = f"/waves/{room.wave.id}", view["state"]
        refreshes = view["poll_s"] > 0 and state != "admitted"
        automatic = refreshes and request.query.get("auto") != "0"
        wait_s = max(REFRESH_S_MIN, round(view["poll_s"] * _pace(state)))
        minutes = room.policy.pass_ttl_s // 60
        names = {name: texts[f"button.{name}"] for name in view["buttons"]}
        if state in {"left", "missed"}:
            names["join"] = texts["button.again"]
        if "extend" in names:
            names["extend"] = names["extend"].format(m=minutes)
        return self._pages.personal(
            request,
            "wait.html",
            says,
            room.programme,
            f"{page}/wait",
            refresh_s=wait_s if automatic else 0,
            automatic=automatic,
            page=page,
            action=f"{page}/wait?lang={says.language}",
            refreshes=refreshes,
            scripts=SCRIPTS.get(state, ("back",)),
            movable=state in {"prequeue", "waiting", "called", "admitted", "paused"},
            texts=names,
            **({"receipt": "", "facts": "", "fields": (), "reason": "", "left": 0} | dict(view)),
        )


async def _nothing() -> None:
    """Read no more: the form has said which step, and that was all."""


async def _seen(left: int | None) -> int | None:
    return left


def _pace(state: str) -> float:
    """Near the front the page must be seen at every check-in; elsewhere it may take its time."""
    return 1.0 if state in {"called", "waiting", "registered"} else SLOWER


def _back(request: web.Request, room: LiveRoom) -> web.Response:
    """Lead to the page: a reload there repeats nothing."""
    location = f"/waves/{room.wave.id}/wait?lang={language_of(request)}"
    return web.Response(status=303, headers={"Location": location, "Cache-Control": "no-store"})
