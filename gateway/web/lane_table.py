"""Which first lines does the lane know, and what is each worth? Made once: the waves are known."""

from collections.abc import Callable, Mapping
from functools import partial

from gateway.core.shedding import Rank
from gateway.services.rooms import LiveRoom
from gateway.web.acts import Acts
from gateway.web.applicant import form_document
from gateway.web.documents import Document
from gateway.web.endpoints import WAVE
from gateway.web.gate import Gate
from gateway.web.lane import Lane
from gateway.web.lane_acts import ACTS, ActRoute
from gateway.web.lane_answers import BoardRoute, DocumentRoute, PlaceRoute, Route, Second
from gateway.web.negotiation import SPOKEN, Language
from gateway.web.public_services import PublicServices
from gateway.web.rendering import Pages

_RANKS: Mapping[tuple[str, str], Rank] = {  # of what aiohttp answers
    ("DELETE", f"{WAVE}/place"): Rank.CLAIM,
    ("GET", "/waves/{wave}/device"): Rank.NEAR_POLL,
    ("GET", "/waves/{wave}/wait"): Rank.NEAR_POLL,
    (
        "POST",
        "/waves/{wave}/wait",
    ): Rank.REGISTRATION,  # whichever step: its holder has no other way
}
_FORM = f"{WAVE}/form"
_PAGE, _DRAW, _SCRIPT = "/waves/{wave}", "/waves/{wave}/draw", "/waves/{wave}/wait.js"
_QUERIES: tuple[tuple[str, Language | None], ...] = (
    ("", None),
    *((f"?lang={language}", language) for language in SPOKEN),
)


def make_lane(services: PublicServices, pages: Pages | None, gate: Gate) -> Lane:
    """Return the lane of the public listener."""
    second, acts, throttle = Second(), Acts(services), services.throttle
    routes: dict[bytes, Route] = {}

    def add(method: str, target: str, route: Route) -> None:
        routes[f"{method} {target} HTTP/1.1".encode()] = route

    def add_page(path: str, pattern: str, make: Callable[[Language], Document]) -> None:
        for query, linked in _QUERIES:
            add("GET", path + query, DocumentRoute(make, second, pattern, linked))

    add("GET", "/v1/openapi.json", Route(None))
    if pages is not None:
        add_page("/", "/", partial(pages.home, services.rooms))
        add("GET", "/receipts", Route(None))
    for room in services.rooms:
        for pattern, kind in ((f"{WAVE}/board", BoardRoute), (f"{WAVE}/place", PlaceRoute)):
            add("GET", _at(room, pattern), kind(room, services, second, pattern))
        for endpoint in ACTS:
            act = ActRoute(room, acts, endpoint, second, gate.problem_base, throttle)
            add(endpoint.method, _at(room, endpoint.path), act)
        form = partial(form_document, room)
        add("GET", _at(room, _FORM), DocumentRoute(form, second, _FORM))
        for (method, pattern), rank in _RANKS.items():
            add(method, _at(room, pattern), Route(rank))
        if pages is not None:
            add_page(_at(room, _PAGE), _PAGE, partial(pages.wave, room, services.rooms))
            add_page(_at(room, _DRAW), _DRAW, partial(pages.draw, room, services.rooms))
            add_page(_at(room, _SCRIPT), _SCRIPT, partial(pages.wait_script, room, services.rooms))
    return Lane(routes, second, gate, throttle, [room.wave.id for room in services.rooms])


def _at(room: LiveRoom, pattern: str) -> str:
    return pattern.replace("{wave}", room.wave.id)
