"""Which requests are answered before any parser sees them? Whole plain heads with a known first line.

The table of first lines is made once: the waves are known. A request that is not in it, or is not plain
(``heads``), goes to aiohttp untouched, as does whatever its route leaves to it. The same look refuses a
request when its rank has no room (``gate``); a refused body that has come whole is skipped with it.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import NamedTuple

from aiohttp import web

from gateway.core.flood import Throttled
from gateway.core.shedding import Rank
from gateway.ports import PortUnavailableError
from gateway.services.rooms import LiveRoom
from gateway.web.clients import NOBODY, Peer, is_tls
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
from gateway.web.lane_answers import BoardRoute, DocumentRoute, PlaceRoute, Route, Second
from gateway.web.negotiation import SPOKEN, Language, preferred_language, wants_html
from gateway.web.public_services import PublicServices
from gateway.web.rendering import Pages
from gateway.web.throttle import Throttle
from gateway.web.wire_format import over_tls

HEAD_END = b"\r\n\r\n"
PLANS_MAX = 4096  # of at most HEAD_BYTES_MAX each
Routes = Mapping[bytes, Route]

_RANKS: Mapping[tuple[str, str], Rank] = {  # of what aiohttp answers
    ("POST", f"{WAVE}/tickets"): Rank.JOIN,
    ("POST", f"{WAVE}/pass"): Rank.CLAIM,
    ("POST", f"{WAVE}/pass/extension"): Rank.CLAIM,
    ("DELETE", f"{WAVE}/place"): Rank.CLAIM,
    ("GET", f"{WAVE}/form"): Rank.REGISTRATION,
    ("POST", f"{WAVE}/registrations"): Rank.REGISTRATION,
    ("GET", "/waves/{wave}/device"): Rank.NEAR_POLL,
    ("GET", "/waves/{wave}/wait"): Rank.NEAR_POLL,
    (
        "POST",
        "/waves/{wave}/wait",
    ): Rank.REGISTRATION,  # whichever step: its holder has no other way
}
_PAGE, _DRAW, _SCRIPT = "/waves/{wave}", "/waves/{wave}/draw", "/waves/{wave}/wait.js"
_RECEIPTS = "/v1/registrations/"
_QUERIES: tuple[tuple[str, Language | None], ...] = (
    ("", None),
    *((f"?lang={language}", language) for language in SPOKEN),
)


class Plan(NamedTuple):
    """What a head asks for, judged once and remembered without the ticket in it."""

    route: Route
    fields: Fields  # with CUT where the ticket stands
    text: bytes | None  # of the ticket that is shown; CUT: the one that was cut out
    tls: bool  # by a trusted proxy's word


class Lane:
    """Answers or refuses what can be told from one look at its bytes.

    Visitors' heads differ in their tickets and in little else, so a head is remembered by what is left
    without its ticket. What was cut out is made of the letters of base64url alone, or verified: whatever
    it says, it cannot change how the rest is read.
    """

    def __init__(
        self,
        routes: Routes,
        second: Second,
        gate: Gate,
        throttle: Throttle | None = None,  # None: nobody asks too often
        wave_ids: Sequence[str] = (),
    ) -> None:
        self._routes, self._second, self.gate = routes, second, gate
        self._throttle, self._wave_ids = throttle, wave_ids
        self._plans: dict[bytes, Plan] = {}
        self._trusted_plans: dict[bytes, Plan] = {}  # where peers are believed what they forward

    def answer(
        self, data: bytes, start: int, now_s: float, peer: Peer = NOBODY
    ) -> tuple[bytes, int] | None:
        """Return the answer to the request at ``start``, and where the next one begins."""
        end = data.find(HEAD_END, start) + 4
        if end < 4 or end - start > HEAD_BYTES_MAX:
            return None
        head, cut = take_out_ticket(data[start:end])
        plans = self._trusted_plans if peer.trusted else self._plans
        plan = plans.get(head) or self._plan(head, plans)
        if plan is None:
            return None
        if now_s >= self._second.ends_at_s:
            self._second.turn(now_s)
        route, fields, text, tls = plan
        if text is CUT:
            text = cut  # its route will look at it closely
        elif cut and not is_spelled_like_ours(cut):
            return None
        answer = None if fields.length else _answer(route, fields, text, now_s)
        rank, gate = route.rank, self.gate
        if answer is not None:  # as cheap as a refusal, so it needs no room
            gate.quick += 1
            return (over_tls(answer) if tls else answer), end
        if rank is not None and (rank is Rank.JOIN or gate.pending >= gate.limits[rank]):
            return self._turn_away(rank, plan, peer, now_s, cut=cut, end=end, received=len(data))
        return None

    def _plan(self, head: bytes, plans: dict[bytes, Plan]) -> Plan | None:
        line_end = head.find(b"\r\n")
        route = self._routes.get(head[:line_end])
        fields = None if route is None else read_fields(head[line_end + 2 : -2])
        if route is None or fields is None:
            return None
        if plans is self._plans:  # its peer says what it likes
            fields = fields._replace(forwarded_for=b"", forwarded_proto=b"")
        text = route.shown(fields)
        tls = is_tls(fields.forwarded_proto.decode())
        plan = Plan(route, fields, CUT if text == CUT else text, tls)
        if len(plans) >= PLANS_MAX:
            plans.clear()
        plans[head] = plan
        return plan

    def _turn_away(
        self,
        rank: Rank,
        plan: Plan,
        peer: Peer,
        now_s: float,
        *,
        cut: bytes,
        end: int,
        received: int,
    ) -> tuple[bytes, int] | None:
        """Refuse for lack of room, or a new ticket to a flood; whoever shows something is heard first."""
        gate, throttle, hops = self.gate, self._throttle, plan.fields.forwarded_for.decode()
        if gate.pending >= gate.limits[rank]:
            refused = self._refuse(gate.refusal, plan, end, received)
            gate.shed[rank] += refused is not None
            return refused
        if cut or throttle is None or not throttle.refuses_join(peer, hops, now_s):
            return None
        refused = self._refuse(throttle.refusals.next, plan, end, received)
        throttle.refused[Throttled.JOIN] += refused is not None
        return refused

    def _refuse(
        self, refusal: Callable[[Language, bytes], bytes], plan: Plan, end: int, received: int
    ) -> tuple[bytes, int] | None:
        fields, next_start = plan.fields, end + plan.fields.body_bytes
        if next_start > received or wants_html(fields.accept.decode()):
            return None  # its turn at the gate comes behind the parser
        self.gate.quick += 1
        language = preferred_language(fields.accept_language.decode())
        answer = refusal(language, self._second.date)
        return (over_tls(answer) if plan.tls else answer), next_start

    def report(self, meter: Meter) -> None:
        """Tell the meter what was answered and refused since the last report: not once each."""
        for route in self._routes.values():
            told, route.told = route.told, Counter()
            for status, count in told.items():
                meter.answered_many("GET", route.pattern, status, count)
        for rank, count in self.gate.take_shed().items():
            meter.shed(rank, count)
        if self._throttle is not None:
            for why, count in self._throttle.take_refused().items():
                meter.throttled(why, count)

    def refuses(self, method: str, path: str) -> bool:
        """Say whether a request that has come through the parser finds no room, and count it if so.

        It is in flight itself by now.
        """
        rank = self.rank_of(method, path)
        if rank is None or self.gate.pending <= self.gate.limits[rank]:
            return False
        self.gate.shed[rank] += 1
        return True

    async def hold_back(self, request: web.Request) -> None:
        """Make a request wait, or refuse it, whose ticket or address asks too often.

        Raises:
            Problem: 429 ``too-many-requests``.

        """
        # A join's handler counts it, when it knows that a new ticket is asked for.
        rank = self.rank_of(request.method, request.path)
        if self._throttle is not None and rank not in {None, Rank.JOIN}:
            await self._throttle.poll(request, self._wave_ids)

    def rank_of(self, method: str, path: str) -> Rank | None:
        """Return what a request is worth; None where it is always let in."""
        method = "GET" if method == "HEAD" else method
        try:
            route = self._routes.get(f"{method} {path} HTTP/1.1".encode("ascii"))
        except UnicodeEncodeError:
            route = None
        if route is not None:
            return route.rank
        return Rank.NEAR_POLL if path.startswith(_RECEIPTS) else Rank.FAR_POLL


def _answer(route: Route, fields: Fields, text: bytes | None, now_s: float) -> bytes | None:
    try:
        return route.answer(fields, text, now_s)
    except PortUnavailableError:  # the room has not been seen yet
        return None


def make_lane(services: PublicServices, pages: Pages | None, gate: Gate) -> Lane:
    """Return the lane of the public listener."""
    second = Second()
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
        for (method, pattern), rank in _RANKS.items():
            add(method, _at(room, pattern), Route(rank))
        if pages is not None:
            add_page(_at(room, _PAGE), _PAGE, partial(pages.wave, room, services.rooms))
            add_page(_at(room, _DRAW), _DRAW, partial(pages.draw, room, services.rooms))
            add_page(_at(room, _SCRIPT), _SCRIPT, partial(pages.wait_script, room, services.rooms))
    return Lane(routes, second, gate, services.throttle, [room.wave.id for room in services.rooms])


def _at(room: LiveRoom, pattern: str) -> str:
    return pattern.replace("{wave}", room.wave.id)
