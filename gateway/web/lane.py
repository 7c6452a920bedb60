"""Which requests are answered before any parser sees them? Whole plain heads with a known first line.

A request that is not in the table of first lines (``lane_table``), or is not plain (``heads``), goes to
aiohttp untouched, as does whatever its route leaves to it. What one look answers needs no room; an act,
and what goes to aiohttp, is refused by the same look when its rank has none (``gate``), or when it is one
more new ticket for a flood (``throttle``). A refused body that has come whole is skipped with it.
"""

from collections.abc import Sequence

from aiohttp import web

from gateway.core.flood import Throttled
from gateway.core.shedding import Rank
from gateway.ports import PortUnavailableError
from gateway.web.clients import NOBODY, Peer
from gateway.web.cookies import shown_by
from gateway.web.counting import Meter
from gateway.web.gate import Gate
from gateway.web.heads import (
    CUT,
    HEAD_BYTES_MAX,
    is_spelled_like_ours,
    take_out_hops,
    take_out_ticket,
)
from gateway.web.lane_acts import ActRoute, Asker
from gateway.web.lane_answers import PlaceRoute, Second
from gateway.web.negotiation import Language
from gateway.web.plans import Look, Plan, Plans, Routes
from gateway.web.throttle import Throttle, waves_of
from gateway.web.turn import Begun
from gateway.web.wire_format import over_tls

HEAD_END = b"\r\n\r\n"
_RECEIPTS = "/v1/registrations/"
Answered = tuple[
    bytes | Begun, int
]  # an answer or what makes it, and where the next request begins


class Lane:
    """Answers or refuses what can be told from one look at its bytes, and begins acts."""

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
        self._plans = Plans(routes, trusting=False)
        self._trusting_plans = Plans(routes, trusting=True)

    def answer(self, data: bytes, start: int, now_s: float, peer: Peer = NOBODY) -> Answered | None:
        """Return the answer to the request at ``start``, or what makes it; and where the next one begins."""
        if now_s >= self._second.ends_at_s:
            self._second.turn(now_s)
        plans = self._trusting_plans if peer.trusted else self._plans
        look = None if start else plans.looks.get(data)
        if look is not None and (told := _told(look, now_s)) is not None:
            return self._quick(told, len(data), tls=look.tls)
        if not start and (plan := plans.bare.get(data)) is not None:
            asker = Asker(b"", peer, "", plan.tls)
            return self._settle(plan, None, asker, now_s, data, len(data))
        end = data.find(HEAD_END, start) + 4
        if end < 4 or end - start > HEAD_BYTES_MAX:
            return None
        head, cut = take_out_ticket(data[start:end])
        head, hops = take_out_hops(head)
        plan = plans.find(head)
        if plan is None or (cut and plan.text is not CUT and not is_spelled_like_ours(cut)):
            return None
        asker = Asker(cut, peer, (hops or plan.fields.forwarded_for).decode(), plan.tls)
        look = _look(plan, cut)
        if end - start == len(data):
            plans.remember(data, look, plan, is_bare=not (cut or asker.forwarded_for))
        return self._settle(plan, look, asker, now_s, data, end)

    def _settle(
        self, plan: Plan, look: Look | None, asker: Asker, now_s: float, data: bytes, end: int
    ) -> Answered | None:
        told = _document(plan, now_s) if look is None else _told(look, now_s)
        if told is not None:
            return self._quick(told, end, tls=plan.tls)
        return self._let_in(plan, asker, now_s, data, end)

    def _quick(self, answer: bytes, end: int, *, tls: bool) -> Answered:
        """Return what needs no room: it is as cheap as a refusal, or is one."""
        self.gate.quick += 1
        return (over_tls(answer) if tls else answer), end

    def _let_in(
        self, plan: Plan, asker: Asker, now_s: float, data: bytes, end: int
    ) -> Answered | None:
        """Begin an act, or refuse whatever costs a handler; None: aiohttp has to look."""
        route, next_start = plan.route, end + plan.body_bytes
        why = self._why_not(route.rank, asker, now_s)
        if why is None:
            if not (plan.begins and isinstance(route, ActRoute)):
                return None
            act = route.begin(plan.fields, asker, data[end:next_start])
            return None if act is None else (act, next_start)
        if next_start > len(data) or plan.speaks is None:
            return None  # its turn at the gate comes behind the parser
        return self._quick(self._refuse(why, plan.speaks), next_start, tls=plan.tls)

    def _why_not(self, rank: Rank | None, asker: Asker, now_s: float) -> Rank | Throttled | None:
        """Say what is in the way: no room, or a flood of new tickets. Who shows something is heard first."""
        if rank is not None and self.gate.pending >= self.gate.limits[rank]:
            return rank
        if rank is Rank.JOIN and not asker.cut and self._throttle is not None:
            refused = self._throttle.refuses_join(asker.peer, asker.forwarded_for, now_s)
            return Throttled.JOIN if refused else None
        return None

    def _refuse(self, why: Rank | Throttled, language: Language) -> bytes:
        if isinstance(why, Rank):
            self.gate.shed[why] += 1
            return self.gate.refusal(language, self._second.date)
        assert self._throttle is not None
        self._throttle.refused[why] += 1
        return self._throttle.refusals.next(language, self._second.date)

    def report(self, meter: Meter) -> None:
        """Tell the meter what was answered and refused since the last report: not once each."""
        for route in self._routes.values():
            route.report(meter)
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
        if self._throttle is not None and rank is not None and rank is not Rank.JOIN:
            wave_ids = waves_of(request.path, self._wave_ids)
            await self._throttle.poll(shown_by(request), wave_ids, rank)

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


def _look(plan: Plan, cut: bytes) -> Look | None:
    """Return whose place is asked for, by a ticket of ours."""
    text = cut if plan.text is CUT else plan.text
    if text is None or plan.fields.length or not isinstance(plan.route, PlaceRoute):
        return None
    number = plan.route.number_of(text)
    return None if number is None else Look(plan.route, number, plan.tls)


def _told(look: Look, now_s: float) -> bytes | None:
    try:
        return look.route.tell(look.number, now_s)
    except PortUnavailableError:  # the room has not been seen yet
        return None


def _document(plan: Plan, now_s: float) -> bytes | None:
    try:
        return None if plan.fields.length else plan.route.answer(plan.fields, now_s)
    except PortUnavailableError:
        return None
