"""The applicants' pages: which address shows which, and for whom."""

from aiohttp import web

from gateway.core.receipts import parse
from gateway.core.tickets import sign
from gateway.web.cookies import shown_by
from gateway.web.documents import serve
from gateway.web.negotiation import language_of
from gateway.web.public_services import PublicServices
from gateway.web.rendering import Pages
from gateway.web.wait import WaitingRoom


def page_routes(app: web.Application, services: PublicServices, pages: Pages) -> None:
    """Add all pages to the public application."""
    waiting = WaitingRoom(services, pages)

    async def home(request: web.Request) -> web.Response:
        return serve(request, pages.home(services.rooms, language_of(request)))

    async def wave(request: web.Request) -> web.Response:
        room = services.room_of(request)
        return serve(request, pages.wave(room, services.rooms, language_of(request)))

    async def draw(request: web.Request) -> web.Response:
        room = services.room_of(request)
        return serve(request, pages.draw(room, services.rooms, language_of(request)))

    async def wait_script(request: web.Request) -> web.Response:
        room = services.room_of(request)
        return serve(request, pages.wait_script(room, services.rooms, language_of(request)))

    async def find(request: web.Request) -> web.Response:
        reference = request.query.get("reference", "")
        language, receipt = language_of(request), parse(reference)
        if receipt:
            location = f"/v1/registrations/{receipt}?lang={language}"
            return web.Response(status=303, headers={"Location": location})
        response = pages.find(request, wrong=bool(reference))
        response.set_status(404 if reference else 200)
        return response

    async def device(request: web.Request) -> web.Response:
        room = services.room_of(request)
        ticket = services.cookies.ticket_of(shown_by(request), room.wave.id)
        return pages.device(
            request, room, sign(services.cookies.ticket_keys, ticket), ticket.number
        )

    app.router.add_get("/", home)
    app.router.add_get("/receipts", find)
    app.router.add_get("/waves/{wave}/device", device)
    app.router.add_get("/waves/{wave}/draw", draw)
    app.router.add_get("/waves/{wave}/wait.js", wait_script)
    app.router.add_get("/waves/{wave}", wave)
    app.router.add_get("/waves/{wave}/wait", waiting.show)
    app.router.add_post("/waves/{wave}/wait", waiting.act)
