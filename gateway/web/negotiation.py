"""What a client would like: which media type, language and encoding its Accept headers prefer.

RFC 9110, section 12.5. Ranges that cannot be read are skipped: preferences are no demands.
"""

from collections.abc import Mapping, Sequence
from typing import Literal

from aiohttp import web

Language = Literal["id", "en"]
DEFAULT_LANGUAGE: Language = "id"
_JSON = ("application/problem+json", "application/json")
_LANGUAGES: Mapping[str, Language] = {"id": "id", "in": "id", "en": "en"}  # old Androids say "in"


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
    header = request.headers.get("Accept", "")
    json = max(media_quality(header, name) for name in _JSON)
    return media_quality(header, "text/html") > json


def language_of(request: web.BaseRequest) -> Language:
    """Return the language of the link (``?lang=``), else the one preferred, else Indonesian."""
    linked = request.query.get("lang", "")
    if linked in _LANGUAGES:
        return _LANGUAGES[linked]
    best, best_quality = DEFAULT_LANGUAGE, 0.0
    for name, quality in qualities(request.headers.get("Accept-Language", "")):
        language = _LANGUAGES.get(name.partition("-")[0])
        if language is not None and quality > best_quality:
            best, best_quality = language, quality
    return best


def accepts_gzip(request: web.BaseRequest) -> bool:
    """Say whether the body may be sent gzipped."""
    found = dict(qualities(request.headers.get("Accept-Encoding", "")))
    return found.get("gzip", found.get("*", 0.0)) > 0
