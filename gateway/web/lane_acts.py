"""Which acts does the lane begin, and which bytes tell what became of them? Those that aiohttp would send.

``acts`` decides; here a plain head and a whole body become what it is asked with. What a head says beyond
the usual (another media type, another site, a page wanted for an answer) is left to aiohttp.
"""

import asyncio
import secrets
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

import orjson

from gateway.core.shedding import Rank
from gateway.services.rooms import LiveRoom
from gateway.web.acts import Act, Acts, Told
from gateway.web.body import JSON_TYPE, parse_json, parse_nothing
from gateway.web.clients import Peer
from gateway.web.cookies import Shown
from gateway.web.counting import Meter
from gateway.web.endpoints import ENDPOINTS, Endpoint
from gateway.web.heads import CUT, Fields
from gateway.web.lane_answers import Route, Second
from gateway.web.negotiation import preferred_language, wants_html
from gateway.web.problems import from_exception, retry_in_ms_of, tell
from gateway.web.security import is_foreign
from gateway.web.throttle import Throttle
from gateway.web.turn import Begun
from gateway.web.wire_format import json_head, over_tls, serialize

_RANKS: Mapping[str, Rank] = {  # by the names of their endpoints
    "join": Rank.JOIN,
    "claim": Rank.CLAIM,
    "extend": Rank.CLAIM,
    "register": Rank.REGISTRATION,
}
ACTS = [endpoint for endpoint in ENDPOINTS if endpoint.name in _RANKS]
_JSON_TYPE = JSON_TYPE.encode()


class Asker(NamedTuple):
    """Who asks, as far as a head that is remembered does not say it."""

    cut: bytes  # the credential that was cut out; empty: none
    peer: Peer
    forwarded_for: str
    by_tls: bool


class ActRoute(Route):
    """One act in one room."""

    def __init__(
        self,
        room: LiveRoom,
        acts: Acts,
        endpoint: Endpoint,
        second: Second,
        problem_base: str,
        throttle: Throttle | None = None,  # None: nobody asks too often
    ) -> None:
        self._rank = _RANKS[endpoint.name]
        super().__init__(self._rank, endpoint.path)
        self._room, self._second, self._problem_base = room, second, problem_base
        # A join is counted by itself, when it knows that a new ticket is asked for.
        self._throttle = None if self._rank is Rank.JOIN else throttle
        self._wave_ids = () if throttle is None else (room.wave.id,)
        self._method = endpoint.method
        self._act: Act[Any] = getattr(acts, endpoint.name)
        self._needs_body = bool(endpoint.body)
        self._parse: Callable[[bytes], Any] = parse_json if self._needs_body else parse_nothing
        # Not yet told to the meter:
        self._took_s: defaultdict[int, list[float]] = defaultdict(list)  # by status
        self._refused: list[str] = []  # codes

    def begin(self, fields: Fields, asker: Asker, body: bytes) -> Begun | None:
        """Return what makes the answer to a head that ``takes``; None: aiohttp has to look."""
        cookie, authorization, cut = fields.cookie, fields.authorization, asker.cut
        # Nothing but the gap may look like it, or it could not be filled.
        if len(body) != fields.body_bytes or (cookie + authorization).count(CUT) > bool(cut):
            return None
        shown = Shown(
            fields.host.decode(),
            asker.by_tls,
            (cookie.replace(CUT, cut).decode(),) if cookie else (),
            (authorization.replace(CUT, cut).decode(),) if authorization else (),
            asker.peer,
            asker.forwarded_for,
        )
        return partial(self._tell, shown, fields.accept_language, body)

    def takes(self, fields: Fields) -> bool:
        """Say whether such a head is as a page of ours sends it."""
        if fields.content_type != _JSON_TYPE and (
            fields.content_type or fields.body_bytes or self._needs_body
        ):
            return False
        sites = (fields.sec_fetch_site.decode(),) if fields.sec_fetch_site else ()
        origins = (fields.origin.decode(),) if fields.origin else ()
        if (sites or origins) and is_foreign(sites, origins, fields.host.decode()):
            return False
        return not wants_html(fields.accept.decode())

    async def _tell(self, shown: Shown, accept_language: bytes, body: bytes) -> bytes:
        began_s = time.perf_counter()

        async def read() -> Any:
            return self._parse(body)

        try:
            if self._throttle is not None:
                await self._throttle.poll(shown, self._wave_ids, self._rank)
            told = await self._act(self._room, shown, read)
            status, answer = told.status, self._bytes(told)
        except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001  as behind aiohttp
            status, answer = self._problem(error, accept_language)
        self._took_s[status].append(time.perf_counter() - began_s)
        return over_tls(answer) if shown.by_tls else answer

    def _bytes(self, told: Told) -> bytes:
        own, shared = json_head(told.status)
        lines = [f"Location: {told.location}\r\n"] if told.location else []
        lines += [f"Set-Cookie: {line}\r\n" for line in told.cookies]
        own += "".join(lines).encode()
        body = orjson.dumps(told.document)
        return b"%b%b%d\r\nDate: %b\r\n\r\n%b" % (own, shared, len(body), self._date(), body)

    def _problem(self, error: BaseException, accept_language: bytes) -> tuple[int, bytes]:
        name = secrets.token_hex(8)
        problem = from_exception(lambda: name, error)
        self._refused.append(problem.code)
        language = preferred_language(accept_language.decode())
        response = tell(problem, self._problem_base, language, name, retry_in_ms_of(problem))
        return problem.status, serialize(response, self._date())

    def _date(self) -> bytes:
        return self._second.date_at(time.monotonic())  # the loop's clock

    def report(self, meter: Meter) -> None:
        """Tell the meter what was answered since the last report."""
        took, self._took_s = self._took_s, defaultdict(list)
        refused, self._refused = self._refused, []
        for status, took_s in took.items():
            meter.answered_in(self._method, self.pattern, status, took_s)
        for code in refused:
            meter.refused(code)
