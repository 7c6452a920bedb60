"""What a client would like: which media type, language and encoding its Accept headers prefer.

RFC 9110, section 12.5. Ranges that cannot be read are skipped: preferences are no demands.
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache

from aiohttp import web

from gateway.web.texts import LANGUAGES

Language = str  # one of SPOKEN
SPOKEN: tuple[Language, ...] = LANGUAGES
DEFAULT_LANGUAGE: Language = LANGUAGES[0]
HEADERS_MAX = 256  # different values of one header that are remembered
_JSON = ("application/problem+json", "application/json")
_LANGUAGES: Mapping[str, Language] = {"in": "id"} | {
    name: name for name in SPOKEN
}  # old Androids say "in"


def qualities(header: str) -> Sequence[tuple[str, float]]:
    """Return the ranges of an Accept header with their weights, in the order sent."""
    ranges = []
    for part in header.lower().split(",")[:32]:
        name, *parameters = (piece.strip() for piece in part.split(";"))
        weight = next((text[2:] for text in parameters if text.startswith("q=")), "1")
        try:
            quality = float(weight)
        except ValueError:
            continue
        if name and 0 <= quality <= 1:
            ranges.append((name, quality))
    return ranges


def media_quality(header: str, media_type: str) -> float:
    """Say how welcome a media type is: its most specific range decides, 0 is refused."""
    found = dict(qualities(header))
    general = f"{media_type.partition('/')[0]}/*"
    return next((found[name] for name in (media_type, general, "*/*") if name in found), 0.0)


def prefers_html(request: web.BaseRequest) -> bool:
    """Say whether HTML is wanted more than JSON."""
    return wants_html(request.headers.get("Accept", ""))


def language_of(request: web.BaseRequest) -> Language:
    """Return the language of the link (``?lang=``), else the one preferred, else Indonesian."""
    linked = request.query.get("lang", "")
    if linked in _LANGUAGES:
        return _LANGUAGES[linked]
    return preferred_language(request.headers.get("Accept-Language", ""))


def accepts_gzip(request: web.BaseRequest) -> bool:
    """Say whether the body may be sent gzipped."""
    return takes_gzip(request.headers.get("Accept-Encoding", ""))


# Browsers send few different values: what these functions of one header say is remembered.


@lru_cache(maxsize=HEADERS_MAX)
def wants_html(accept: str) -> bool:
    """Read an Accept header."""
    json = max(media_quality(accept, name) for name in _JSON)
    return media_quality(accept, "text/html") > json


@lru_cache(maxsize=HEADERS_MAX)
def preferred_language(accept_language: str) -> Language:
    """Read an Accept-Language header."""
    best, best_quality = DEFAULT_LANGUAGE, 0.0
    for name, quality in qualities(accept_language):
        language = _LANGUAGES.get(name.partition("-")[0])
        if language is not None and quality > best_quality:
            best, best_quality = language, quality
    return best


@lru_cache(maxsize=HEADERS_MAX)
def takes_gzip(accept_encoding: str) -> bool:
    """Read an Accept-Encoding header."""
    found = dict(qualities(accept_encoding))
    return found.get("gzip", found.get("*", 0.0)) > 0
