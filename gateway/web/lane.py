"""Which requests are answered before any parser sees them? Whole plain heads with a known first line.

The table of first lines is made once: the waves are known. A request that is not in it, or is not plain
(``heads``), goes to aiohttp untouched, as does whatever its route leaves to it. The same look refuses a
request when its rank has no room (``gate``); a refused body that has come whole is skipped with it.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import NamedTuple

from gateway.core.shedding import Rank
from gateway.ports import PortUnavailableError
from gateway.services.rooms import LiveRoom
from gateway.web.acts import Acts
from gateway.web.counting import Meter
from gateway.web.documents import Document
from gateway.web.endpoints import WAVE
from gateway.web.gate import Gate
from gateway.web.heads import (
    CUT,
    HEAD_BYTES_MAX,
    Fields,
    is_spelled_like_ours,
    read_fields,
    take_out_ticket,
)
from gateway.web.lane_acts import ACTS, ActRoute
from gateway.web.lane_answers import BoardRoute, DocumentRoute, PlaceRoute, Route, Second
from gateway.web.negotiation import Language, preferred_language, wants_html
from gateway.web.public_services import PublicServices
from gateway.web.rendering import Pages
from gateway.web.turn import Begun

HEAD_END = b"\r\n\r\n"
PLANS_MAX = 4096  # of at most HEAD_BYTES_MAX each
LOOKS_MAX, LOOK_BYTES_MAX = 16_384, 1024  # 12 MB with the heads of usual browsers
Routes = Mapping[bytes, Route]

_RANKS: Mapping[tuple[str, str], Rank] = {  # of what aiohttp answers
    ("DELETE", f"{WAVE}/place"): Rank.CLAIM,
    ("GET", f"{WAVE}/form"): Rank.REGISTRATION,
    ("GET", "/waves/{wave}/device"): Rank.NEAR_POLL,
    ("GET", "/waves/{wave}/wait"): Rank.NEAR_POLL,
    (
        "POST",
        "/waves/{wave}/wait",
    ): Rank.REGISTRATION,  # whichever step: its holder has no other way
}
_PAGE = "/waves/{wave}"
_RECEIPTS = "/v1/registrations/"
_QUERIES: tuple[tuple[str, Language | None], ...] = (
    ("", None),
    ("?lang=id", "id"),
    ("?lang=en", "en"),
)


class Plan(NamedTuple):
    """What a head asks for, judged once and remembered without the credentials in it."""

    route: Route
    fields: Fields  # with gaps where credentials stand
    text: bytes | None  # of the ticket that is shown; CUT: the one that was cut out
    body_bytes: int
    speaks: Language | None  # of a refusal; None: a page is wanted


class Lane:
    """Answers or refuses what can be told from one look at its bytes.

    Visitors' heads differ in their tickets and in little else, so a head is remembered by what is left
    without its ticket. What was cut out is made of the letters of base64url alone, or verified: whatever
    it says, it cannot change how the rest is read. Who looks at its place does so again, with the same
    bytes: these are remembered whole, once verified.
    """

    def __init__(self, routes: Routes, second: Second, gate: Gate) -> None:
        self._routes, self._second, self.gate = routes, second, gate
        self._plans: dict[bytes, Plan] = {}
        self._looks: dict[bytes, tuple[Plan, PlaceRoute, int]] = {}  # whole request -> whose it is

    def answer(self, data: bytes, start: int, now_s: float) -> tuple[bytes | Begun, int] | None:
        """Return the answer to the request at ``start``, or what makes it; and where the next one begins."""
        if now_s >= self._second.ends_at_s:
            self._second.turn(now_s)
        try:
            look = None if start else self._looks.get(data)
            if look is None:
                return self._answer_new(data, start, now_s)
            plan, place, number = look
            gate = self.gate
            if gate.pending >= gate.limits[Rank.NEAR_POLL]:
                return self._refuse(Rank.NEAR_POLL, plan, len(data), len(data))
            answer = place.tell(number, now_s)
        except PortUnavailableError:  # the room has not been seen yet
            return None
        return None if answer is None else (answer, len(data))

    def _answer_new(
        self, data: bytes, start: int, now_s: float
    ) -> tuple[bytes | Begun, int] | None:
        end = data.find(HEAD_END, start) + 4
        if end < 4 or end - start > HEAD_BYTES_MAX:
            return None
        head, cut = take_out_ticket(data[start:end])
        plan = self._plans.get(head) or self._plan(head)
        if plan is None:
            return None
        route, fields, text, body_bytes, _ = plan
        if text is CUT:
            text = cut  # its route will look at it closely
        elif cut and not is_spelled_like_ours(cut):
            return None
        rank, gate = route.rank, self.gate
        if rank is not None and gate.pending >= gate.limits[rank]:
            return self._refuse(rank, plan, end, len(data))
        answer: bytes | Begun | None
        if isinstance(route, ActRoute):
            answer = route.begin(fields, cut, data[end : end + body_bytes])
        elif fields.length:
            return None
        elif isinstance(route, PlaceRoute):
            number = None if text is None else route.number_of(text)
            if end - start == len(data) <= LOOK_BYTES_MAX and number is not None:
                self._remember(data, plan, route, number)
            answer = None if number is None else route.tell(number, now_s)
        else:
            answer = route.answer(fields, now_s)
        return None if answer is None else (answer, end + body_bytes)

    def _plan(self, head: bytes) -> Plan | None:
        line_end = head.find(b"\r\n")
        route = self._routes.get(head[:line_end])
        fields = None if route is None else read_fields(head[line_end + 2 : -2])
        if route is None or fields is None:
            return None
        text = route.shown(fields)
        page = wants_html(fields.accept.decode())
        speaks = None if page else preferred_language(fields.accept_language.decode())
        plan = Plan(route, fields, CUT if text == CUT else text, fields.body_bytes, speaks)
        if len(self._plans) >= PLANS_MAX:
            self._plans.clear()
        self._plans[head] = plan
        return plan

    def _remember(self, data: bytes, plan: Plan, route: PlaceRoute, number: int) -> None:
        if len(self._looks) >= LOOKS_MAX:
            self._looks.clear()
        self._looks[data] = (plan, route, number)

    def _refuse(self, rank: Rank, plan: Plan, end: int, received: int) -> tuple[bytes, int] | None:
        next_start = end + plan.body_bytes
        if next_start > received or plan.speaks is None:
            return None  # its turn at the gate comes behind the parser
        self.gate.shed[rank] += 1
        return self.gate.refusal(plan.speaks, self._second.date), next_start

    def report(self, meter: Meter) -> None:
        """Tell the meter what was answered and refused since the last report: not once each."""
        for route in self._routes.values():
            route.report(meter)
        for rank, count in self.gate.take_shed().items():
            meter.shed(rank, count)

    def refuses(self, method: str, path: str) -> bool:
        """Say whether a request that has come through the parser finds no room, and count it if so.

        It is in flight itself by now.
        """
        rank = self._rank_of("GET" if method == "HEAD" else method, path)
        if rank is None or self.gate.pending <= self.gate.limits[rank]:
            return False
        self.gate.shed[rank] += 1
        return True

    def _rank_of(self, method: str, path: str) -> Rank | None:
        try:
            route = self._routes.get(f"{method} {path} HTTP/1.1".encode("ascii"))
        except UnicodeEncodeError:
            route = None
        if route is not None:
            return route.rank
        return Rank.NEAR_POLL if path.startswith(_RECEIPTS) else Rank.FAR_POLL


def make_lane(services: PublicServices, pages: Pages | None, gate: Gate) -> Lane:
    """Return the lane of the public listener."""
    second, acts = Second(), Acts(services)
    routes: dict[bytes, Route] = {}

    def add(method: str, target: str, route: Route) -> None:
        routes[f"{method} {target} HTTP/1.1".encode()] = route

    def add_page(path: str, pattern: str, make: Callable[[Language], Document]) -> None:
        for query, linked in _QUERIES:
            add("GET", path + query, DocumentRoute(make, second, pattern, linked))

    add("GET", "/v1/openapi.json", Route(None))
    if pages is not None:
        add_page("/", "/", partial(pages.home, services.rooms))
    for room in services.rooms:
        for pattern, kind in ((f"{WAVE}/board", BoardRoute), (f"{WAVE}/place", PlaceRoute)):
            add("GET", _at(room, pattern), kind(room, services, second, pattern))
        for endpoint in ACTS:
            act = ActRoute(room, acts, endpoint, second, gate.problem_base)
            add(endpoint.method, _at(room, endpoint.path), act)
        for (method, pattern), rank in _RANKS.items():
            add(method, _at(room, pattern), Route(rank))
        if pages is not None:
            add_page(_at(room, _PAGE), _PAGE, partial(pages.wave, room))
    return Lane(routes, second, gate)


def _at(room: LiveRoom, pattern: str) -> str:
    return pattern.replace("{wave}", room.wave.id)
