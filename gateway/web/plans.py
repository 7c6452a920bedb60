"""What does a head ask for, and whose place does a look show? Judged once, and remembered.

Visitors' heads differ in their tickets, and behind a proxy in their addresses, and in little else, so a
head is remembered by what is left without them. What was cut out is made of the letters of base64url
alone, or verified: whatever it says, it cannot change how the rest is read. Who looks at its place does
so again, with the same bytes: these are remembered whole, once verified; so is what names nobody.
"""

from collections.abc import Mapping
from typing import NamedTuple, TypeVar

from gateway.web.clients import is_tls
from gateway.web.heads import CUT, Fields, read_fields
from gateway.web.lane_answers import PlaceRoute, Route
from gateway.web.negotiation import Language, preferred_language, wants_html

PLANS_MAX = 4096  # of at most HEAD_BYTES_MAX each
LOOKS_MAX, WHOLE_BYTES_MAX = 16_384, 1024  # 12 MB with the heads of usual browsers
Kept = TypeVar("Kept")
Routes = Mapping[bytes, Route]  # by first lines


class Plan(NamedTuple):
    """What a head asks for."""

    route: Route
    fields: Fields  # with gaps where credentials and addresses stand
    text: bytes | None  # of the ticket that is shown; CUT: the one that was cut out
    body_bytes: int
    speaks: Language | None  # of a refusal; None: a page is wanted
    tls: bool  # by a trusted proxy's word
    begins: bool  # an act, where there is room


class Look(NamedTuple):
    """A request for a place whose ticket is verified."""

    route: PlaceRoute
    number: int
    tls: bool


class Plans:
    """What is known of the heads of peers that are believed what they forward, or of all others."""

    def __init__(self, routes: Routes, *, trusting: bool) -> None:
        self._routes, self._trusting = routes, trusting
        self.known: dict[bytes, Plan] = {}
        self.looks: dict[bytes, Look] = {}  # by whole requests
        self.bare: dict[bytes, Plan] = {}  # by whole requests that name nobody and have no body

    def find(self, head: bytes) -> Plan | None:
        """Return what a head without its credential asks for; None: aiohttp has to look."""
        return self.known.get(head) or self._judge(head)

    def _judge(self, head: bytes) -> Plan | None:
        line_end = head.find(b"\r\n")
        route = self._routes.get(head[:line_end])
        fields = None if route is None else read_fields(head[line_end + 2 : -2])
        if route is None or fields is None:
            return None
        if not self._trusting:  # such a peer says what it likes
            fields = fields._replace(forwarded_for=b"", forwarded_proto=b"")
        text = route.shown(fields)
        page = wants_html(fields.accept.decode())
        plan = Plan(
            route,
            fields,
            CUT if text == CUT else text,
            fields.body_bytes,
            speaks=None if page else preferred_language(fields.accept_language.decode()),
            tls=is_tls(fields.forwarded_proto.decode()),
            begins=route.takes(fields),
        )
        _keep(self.known, head, plan, PLANS_MAX)
        return plan

    def remember(self, data: bytes, look: Look | None, plan: Plan, *, is_bare: bool) -> None:
        """Know a whole request again: a look, or one that names nobody and has no body."""
        if len(data) > WHOLE_BYTES_MAX:
            return
        if look is not None:
            _keep(self.looks, data, look, LOOKS_MAX)
        elif is_bare and not plan.body_bytes:
            _keep(self.bare, data, plan, PLANS_MAX)


def _keep(known: dict[bytes, Kept], data: bytes, kept: Kept, most: int) -> None:
    if len(known) >= most:
        known.clear()
    known[data] = kept
