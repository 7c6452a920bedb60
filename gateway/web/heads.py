"""Which heads are so plain that only one reading of them is possible?

Plain: printable ASCII, every line ended by CRLF, ``Name: value`` with one space, exactly one well-formed
``Host``, no name twice, nothing that bears on where the message ends but one ``Content-Length`` in
digits. Whatever is not plain may still be honest; a real parser decides that.

The names of a head are judged once for each combination of them, since browsers send few.
"""

import re
from collections.abc import Callable
from functools import lru_cache
from operator import itemgetter
from typing import NamedTuple

from gateway.web.body import LIMIT_BYTES
from gateway.web.security import is_host

HEAD_BYTES_MAX = 4096  # so no line of a plain head can break a limit of its own
NAMES_MAX = 48
SHAPES_MAX = HOSTS_MAX = 1024  # remembered

CUT = b"~cut~"  # no ticket and no address is spelled so
_BEARER = b"Bearer "
_HOPS = (b"\r\nX-Forwarded-For: ", b"\r\nx-forwarded-for: ")  # as proxies spell it
_OF_HOPS = b"0123456789ABCDEFabcdef.:, []"
_LETTERS = bytes.maketrans(b"-_", b"aa")
_FIELD = re.compile(rb"(?m)^([A-Za-z0-9-]+): ([!-~][ -~]*)\r\n")
_LENGTH = re.compile(rb"[0-9]{1,5}")
# Names that may change how a message is framed, or that aiohttp acts upon.
_UNUSUAL = re.compile(
    rb"content-(?!length$|type$).*|transfer-.*|upgrade|expect|trailer|te|proxy-.*|keep-alive|http2-.*|sec-websocket-.*"
)
_KEEPS_OPEN = frozenset({b"", b"keep-alive"})
_READ = (
    *(b"host", b"connection", b"content-length", b"cookie", b"authorization"),
    *(b"accept", b"accept-encoding", b"accept-language", b"if-none-match"),
    *(b"content-type", b"sec-fetch-site", b"origin"),
    *(b"x-forwarded-for", b"x-forwarded-proto"),  # from trusted peers
)


class Fields(NamedTuple):
    """What the lane reads of a head, empty where it is not there."""

    host: bytes
    connection: bytes
    length: bytes
    cookie: bytes
    authorization: bytes
    accept: bytes
    accept_encoding: bytes
    accept_language: bytes
    if_none_match: bytes
    content_type: bytes
    sec_fetch_site: bytes
    origin: bytes
    forwarded_for: bytes
    forwarded_proto: bytes

    @property
    def body_bytes(self) -> int:
        """How many bytes follow the head."""
        return int(self.length or b"0")


Pick = Callable[[tuple[bytes, ...]], tuple[bytes, ...]]
_picks: dict[tuple[bytes, ...], Pick | None] = {}


def take_out_ticket(head: bytes) -> tuple[bytes, bytes]:
    """Return a head with CUT for the first ticket or bearer in it, and what stood there."""
    at = head.find(b"ticket.")
    at = head.find(b"=", at) + 1 if at >= 0 else head.find(_BEARER) + len(_BEARER)
    if at < len(_BEARER):  # neither
        return head, b""
    end, line_end = head.find(b";", at), head.find(b"\r", at)
    if end < 0 or end > line_end:
        end = line_end
    return head[:at] + CUT + head[end:], head[at:end]


def take_out_hops(head: bytes) -> tuple[bytes, bytes]:
    """Return a head with CUT for the addresses that a proxy forwards, and these. Other spellings stay."""
    if b"orwarded-" not in head:
        return head, b""  # whoever connects without a proxy
    for name in _HOPS:
        if (at := head.find(name) + len(name)) >= len(name):
            hops = head[at : head.find(b"\r", at)]
            if hops and hops[:1] != b" " and not hops.translate(None, _OF_HOPS):
                return head[:at] + CUT + head[at + len(hops) :], hops
    return head, b""


def is_spelled_like_ours(text: bytes) -> bool:
    """Say whether these are letters of base64url only."""
    return text.translate(_LETTERS).isalnum()


def read_fields(block: bytes) -> Fields | None:
    """Return the fields of a head without its first and its empty line; None when it is not plain."""
    pairs = _FIELD.findall(block)
    # Each match is one whole line, and each line ends with one LF: as many of both, and nothing else.
    if not pairs or block.count(b"\n") != len(pairs):
        return None
    names, values = zip(*pairs, strict=True)
    try:
        pick = _picks[names]
    except KeyError:
        pick = _judge(names)
    if pick is None:
        return None
    fields = Fields._make(pick((*values, b"")))
    if fields.connection not in _KEEPS_OPEN or not _is_host(fields.host):
        return None
    if fields.length and not _is_length(fields.length):
        return None
    return fields


def _judge(names: tuple[bytes, ...]) -> Pick | None:
    """Return what picks the fields that are read, the last value for none; None: names not plain."""
    lowered = [name.lower() for name in names]
    plain = (
        len(names) <= NAMES_MAX
        and len(set(lowered)) == len(lowered)
        and b"host" in lowered
        and not any(map(_UNUSUAL.fullmatch, lowered))
    )
    pick = None
    if plain:
        pick = itemgetter(*(lowered.index(name) if name in lowered else -1 for name in _READ))
    if len(_picks) >= SHAPES_MAX:
        _picks.clear()
    _picks[names] = pick
    return pick


@lru_cache(maxsize=HOSTS_MAX)
def _is_host(value: bytes) -> bool:
    return is_host(value.decode("ascii"))


def _is_length(value: bytes) -> bool:
    return _LENGTH.fullmatch(value) is not None and int(value) <= LIMIT_BYTES
