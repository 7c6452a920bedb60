"""What the operator's handlers share: JSON that nobody keeps, and the reason an operator gives."""

from typing import Any

import orjson
from aiohttp import web

from gateway.web.body import JSON_TYPE
from gateway.web.problems import Problem

REASON_CHARACTERS_MAX = 300


def json_response(document: Any, *, status: int = 200, revision: int | None = None) -> web.Response:
    """Answer with a document; ``revision`` becomes its ETag."""
    headers = {"Cache-Control": "no-store"}
    if revision is not None:
        headers["ETag"] = f'"{revision}"'
    body = orjson.dumps(document)
    return web.Response(body=body, status=status, content_type=JSON_TYPE, headers=headers)


def reason_of(request: web.Request) -> str:
    """Return why the operator does this; empty where nothing was said."""
    reason = request.headers.get("X-Reason", "").strip()
    if len(reason) > REASON_CHARACTERS_MAX or not reason.isprintable():
        detail = f"X-Reason has at most {REASON_CHARACTERS_MAX} printable characters."
        raise Problem("policy-invalid", detail)
    return reason
