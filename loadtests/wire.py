"""How does an applicant's request become HTTP, and what does a response tell it?"""

from collections.abc import Mapping
from typing import Any

import orjson

from loadtests.journal import SHED, THROTTLED
from loadtests.steps import Answer, Ask

BROWSER = {
    "Accept-Encoding": "gzip",
    "Accept-Language": "id-ID,id;q=0.9,en;q=0.5",
    "User-Agent": "Mozilla/5.0 (Linux; Android 10; K) Chrome/126.0 Mobile Safari/537.36",
}
PAGES = frozenset({"home", "page"})


def headers_of(ask: Ask) -> dict[str, str]:
    """Return the headers that a browser sends with a request."""
    page = ask.name in PAGES
    headers = {**BROWSER, "Accept": "text/html,*/*;q=0.8" if page else "application/json"}
    if ask.cookie:
        headers["Cookie"] = ask.cookie
    if ask.etag:
        headers["If-None-Match"] = ask.etag
    return headers


def answer_of(ask: Ask, response: Any, asked_s: float, answered_s: float) -> Answer:
    """Return what a response tells."""
    headers, is_page = response.headers or {}, ask.name in PAGES
    document = {} if is_page else _document(response.content)
    retry_s = _retry_s(headers, document) if response.status_code in {429, 503} else None
    etag = headers.get("ETag", "") if is_page else ""
    return Answer(response.status_code, document, retry_s, asked_s, answered_s, etag)


def _document(content: bytes | None) -> Mapping[str, Any]:
    try:
        document = orjson.loads(content or b"")
    except ValueError:  # a proxy's page
        return {}
    return document if isinstance(document, dict) else {}


def _retry_s(headers: Mapping[str, str], document: Mapping[str, Any]) -> float | None:
    """Return how long to wait; a refusal without Retry-After does not count as shed."""
    told: str = headers.get("Retry-After", "")
    if not told.isdecimal():
        return None
    return float(document.get("retry_in_ms", 1000 * int(told))) / 1000


def word_of(answer: Answer) -> str:
    """Return by which word an answer is counted."""
    if answer.is_throttled:
        return THROTTLED
    return SHED if answer.is_shed else str(answer.status)
