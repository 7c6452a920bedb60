"""The console: one page from the operator's listener, its login, and what only it asks for.

All of it is read at the start and served from memory by exact name; nothing is loaded from elsewhere. The
page holds no figure: those come by the documents that ``gateway ctl`` reads, once somebody has logged in.
A login is a cookie that pages of other sites cannot send, and scripts cannot read.
"""

import secrets
import time
from importlib.resources import files
from typing import Any

from aiohttp import web

from gateway.core import sessions
from gateway.ports import RoomPort
from gateway.services.rooms import Rooms
from gateway.services.steward import Steward
from gateway.services.tickets import ticket
from gateway.web.access import SESSION, Door, cookie_name
from gateway.web.clients import came_by_tls
from gateway.web.desk import WHO, json_response, room_of
from gateway.web.documents import Document, make_document, serve
from gateway.web.problems import Problem

CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'none'; base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"
)
TYPES = {".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8"}
FILES = ("console.js", "charts.js", "console.css", "uplot/uPlot.iife.min.js", "uplot/uPlot.min.css")
NUMBER_DIGITS_MAX = 9
ACTIVE = "X-Active"  # the page says so when somebody has pressed a key or moved the mouse


class Console:
    """The handlers."""

    def __init__(self, door: Door, rooms: Rooms, port: RoomPort, steward: Steward) -> None:
        self._door, self._rooms, self._port, self._steward = door, rooms, port, steward
        folder = files("gateway.web") / "console"
        page = (folder / "console.html").read_bytes()
        headers = {"Content-Security-Policy": CSP, "Cache-Control": "no-cache"}
        self._page = make_document(page, "text/html; charset=utf-8", headers)
        self._files: dict[str, Document] = {}
        for path in FILES:
            name = path.rpartition("/")[2]
            kind = TYPES[name[name.rindex(".") :]]
            self._files[name] = make_document((folder / path).read_bytes(), kind, headers)

    async def page(self, request: web.Request) -> web.Response:
        """Show the console, or the wall: they differ in nothing but their address."""
        return serve(request, self._page)

    async def file(self, request: web.Request) -> web.Response:
        """Send a script or a style by its exact name."""
        document = self._files.get(request.match_info["file"])
        if document is None:
            raise Problem("not-found")
        return serve(request, document)

    async def login(self, request: web.Request) -> web.Response:
        """Give a browser that shows a credential a cookie in its place."""
        if SESSION in request:
            raise Problem("credential-missing", "Send the credential itself as Bearer.")
        if not self._door.console_key:
            raise Problem("credential-invalid", "There is no console.key beside the other secrets.")
        nonce = secrets.token_bytes(sessions.NONCE_BYTES)
        session = sessions.begin(request[WHO], nonce, now_s=int(time.time()))
        return self._keep(request, session)

    async def session(self, request: web.Request) -> web.Response:
        """Say who is logged in; somebody active keeps the login alive."""
        session = request.get(SESSION)
        touched = (
            session.touched(int(time.time())) if session and ACTIVE in request.headers else None
        )
        return self._keep(request, touched) if touched else json_response(_who(request))

    async def logout(self, request: web.Request) -> web.Response:
        """Have the browser forget its login."""
        response = json_response({"ended": True})
        response.del_cookie(cookie_name(request), path="/", secure=came_by_tls(request))
        return response

    def _keep(self, request: web.Request, session: sessions.Session) -> web.Response:
        response = json_response(_who(request))
        response.set_cookie(
            cookie_name(request),
            session.text(self._door.console_key, request[WHO]),
            path="/",
            max_age=max(0, session.begun_s + sessions.LIFE_S_MAX - int(time.time())),
            httponly=True,
            samesite="Strict",
            secure=came_by_tls(request),
        )
        return response

    async def trail(self, request: web.Request) -> web.Response:
        """Show the last fifteen minutes of a wave, a sample a second."""
        room = room_of(self._rooms, request.match_info["wave"])
        return json_response(self._steward.trails[room.wave.id].columns())

    async def ticket(self, request: web.Request) -> web.Response:
        """Show how one ticket stands, for the help desk (``?wave=``, where there are several)."""
        text, wave_id = request.match_info["number"], request.query.get("wave")
        rooms = list(self._rooms) if wave_id is None else [room_of(self._rooms, wave_id)]
        if not (text.isascii() and text.isdecimal() and len(text) <= NUMBER_DIGITS_MAX):
            raise Problem("not-found", "A ticket's number has at most nine digits.")
        if len(rooms) > 1:
            raise Problem("wave-unknown", "Say which wave with ?wave=.")
        document = await ticket(rooms[0], self._port, int(text))
        if document is None:
            raise Problem("not-found", "No ticket has this number yet.")
        return json_response(document)


def _who(request: web.Request) -> dict[str, Any]:
    who = request[WHO]
    return {"id": who.id, "role": who.role.name.lower()}
