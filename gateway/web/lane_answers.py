"""What does the lane answer? The bytes that aiohttp would send, made before they are asked for.

What is the same for everybody is made once per tick, or once a second, for each language and encoding; a
place is one MAC and some arithmetic. ``answer`` returns None where aiohttp has to decide: a ticket that
is not plainly ours, a visitor who is called, a client that has gone over its pace.
"""

import time
from collections import Counter
from collections.abc import Callable
from email.utils import formatdate
from functools import lru_cache
from typing import TYPE_CHECKING

import orjson

from gateway.core.shedding import Rank
from gateway.core.tickets import Kind, owner_of, verify_number
from gateway.services.rooms import LiveRoom
from gateway.web.applicant import board_response
from gateway.web.clients import is_tls
from gateway.web.cookies import cookie_name
from gateway.web.counting import Meter
from gateway.web.documents import Document, choose, holds
from gateway.web.heads import HOSTS_MAX, Fields
from gateway.web.limits import BURST
from gateway.web.negotiation import Language, preferred_language, takes_gzip
from gateway.web.public_services import PublicServices
from gateway.web.wire_format import json_head, serialize

if TYPE_CHECKING:
    from gateway.services.moment import Moment

_BEARER = b"Bearer "


class Second:
    """The ``Date`` of all answers, written once a second."""

    def __init__(self) -> None:
        self.date = b""
        self.ends_at_s = 0.0

    def date_at(self, now_s: float) -> bytes:
        """Return it for an answer that is given later than it was asked for."""
        if now_s >= self.ends_at_s:
            self.turn(now_s)
        return self.date

    def turn(self, now_s: float) -> None:
        """Write it anew."""
        self.ends_at_s = now_s + 1.0
        self.date = formatdate(time.time(), usegmt=True).encode()


class Route:
    """One request line. This one is answered by aiohttp alone; it is here for its rank."""

    def __init__(self, rank: Rank | None, pattern: str = "") -> None:
        self.rank = rank
        self.pattern = pattern  # as metrics know it
        self.told: Counter[int] = Counter()  # answers by status, not yet told to the meter

    def shown(self, _fields: Fields) -> bytes | None:
        """Return the ticket that a head shows, where that matters."""
        return None

    def takes(self, _fields: Fields) -> bool:
        """Say whether an act begins here."""
        return False

    def answer(self, _fields: Fields, _now_s: float) -> bytes | None:
        """Return a whole answer, or None."""
        return None

    def report(self, meter: Meter) -> None:
        """Tell the meter what was answered since the last report: not once each."""
        told, self.told = self.told, Counter()
        for status, count in told.items():
            meter.answered_many("GET", self.pattern, status, count)


class BoardRoute(Route):
    """The public document of a wave."""

    def __init__(
        self, room: LiveRoom, services: PublicServices, second: Second, pattern: str
    ) -> None:
        super().__init__(Rank.FAR_POLL, pattern)
        self._room, self._front_door, self._second = room, services.front_door, second
        self._moment: Moment | None = None
        self._bytes: dict[bool, bytes] = {}  # gzipped or not

    def answer(self, fields: Fields, _now_s: float) -> bytes | None:
        """Return the bytes of this moment."""
        room, gzipped = self._room, takes_gzip(fields.accept_encoding.decode())
        moment = room.moment()
        if moment is not self._moment:
            self._bytes, self._moment = {}, moment
        answer = self._bytes.get(gzipped)
        if answer is None:
            response = board_response(self._front_door.board(room), gzipped=gzipped)
            answer = self._bytes[gzipped] = serialize(response, self._second.date)
        else:
            room.polls += 1
        self.told[200] += 1
        return answer


class PlaceRoute(Route):
    """A visitor's own document, while it is not called."""

    def __init__(
        self, room: LiveRoom, services: PublicServices, second: Second, pattern: str
    ) -> None:
        super().__init__(Rank.NEAR_POLL, pattern)
        self._room, self._wave_id, self._second = room, room.wave.id, second
        self._waiting_place, self._polls = services.front_door.waiting_place, services.polls
        self._keys = services.cookies.ticket_keys
        self._owner = owner_of(Kind.TICKET, room.programme.id, room.wave.id)

        @lru_cache(maxsize=HOSTS_MAX)
        def name_at(host: bytes, proto: bytes) -> bytes:
            secure = is_tls(proto.decode()) or services.cookies.secure_at(host.decode())
            return cookie_name(Kind.TICKET, room.wave.id, secure=secure).encode()

        self._name_at = name_at
        self._head = b"".join(json_head(200)) + b"%d\r\nDate: %b\r\n\r\n%b"
        self._moment: Moment | None = None
        self._body = (
            b""  # of all who wait at this moment, with a gap for each part of their ``Wait``
        )

    def number_of(self, ticket: bytes) -> int | None:
        """Return the number in a ticket of this wave; None for anything else."""
        return verify_number(self._keys, ticket, self._owner)

    def tell(self, number: int, now_s: float) -> bytes | None:
        """Return where the holder of a number stands."""
        key = (self._wave_id, number)
        if not self._polls.may(key, now_s):
            return None
        document = self._waiting_place(self._room, number)
        if document is None:
            return None
        body = orjson.dumps(document)
        self._polls.count(key, document["poll_s"] / BURST, now_s=now_s)
        self.told[200] += 1
        return self._head % (len(body), self._second.date, body)

    def shown(self, fields: Fields) -> bytes | None:
        """Return the one ticket that is shown in a plain way."""
        cookie, authorization = fields.cookie, fields.authorization
        if authorization:
            bearer = authorization.startswith(_BEARER) and not cookie
            return authorization[len(_BEARER) :] if bearer else None
        name = self._name_at(fields.host, fields.forwarded_proto)
        at = cookie.find(name)
        if at < 0 or cookie.find(name, at + 1) >= 0:  # named twice: not ours to choose
            return None
        if at > 0 and not cookie.startswith(b"; ", at - 2):
            return None  # the end of another name
        value = at + len(name)
        if not cookie.startswith(b"=", value):
            return None
        return cookie[value + 1 :].partition(b";")[0]


class DocumentRoute(Route):
    """A page or another document that is the same for everybody."""

    def __init__(
        self,
        make: Callable[[Language], Document],
        second: Second,
        pattern: str,
        linked: Language | None = None,
    ) -> None:
        super().__init__(None, pattern)
        self._make, self._second, self._linked = make, second, linked
        self._date = b""  # of what is made
        self._documents: dict[Language, Document] = {}
        self._bytes: dict[tuple[Language, bool, bool], bytes] = {}

    def answer(self, fields: Fields, _now_s: float) -> bytes | None:
        """Return the page in the language and encoding asked for, or 304."""
        if self._date != self._second.date:
            self._date = self._second.date
            self._documents.clear()
            self._bytes.clear()
        language = self._linked or preferred_language(fields.accept_language.decode())
        document = self._documents.get(language)
        if document is None:
            document = self._documents[language] = self._make(language)
        held = bool(fields.if_none_match) and holds(document, fields.if_none_match.decode())
        key = (language, takes_gzip(fields.accept_encoding.decode()), held)
        answer = self._bytes.get(key)
        if answer is None:
            response = choose(document, gzipped=key[1], held=held)
            answer = self._bytes[key] = serialize(response, self._date)
        self.told[304 if held else 200] += 1
        return answer
