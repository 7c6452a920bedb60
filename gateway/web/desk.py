"""What the operator's handlers share: JSON that nobody keeps, whose wish it is, and which wave is meant."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson
from aiohttp import web

from gateway.core.credentials import Operator
from gateway.core.policy_change import Changes
from gateway.core.programme import Wave
from gateway.services.records import By
from gateway.services.rooms import LiveRoom, Rooms
from gateway.web.body import JSON_TYPE
from gateway.web.problems import Problem

BODY_BYTES_MAX = 256 * 1024
REASON_CHARACTERS_MAX = 300
WHO = web.RequestKey("who", Operator)

_WAVE = re.compile(r"[a-z0-9-]{1,64}")


@dataclass(slots=True)
class About:
    """What an action is about: kept in its audit record if it is refused."""

    wave: Wave | None = None
    changes: Changes = field(default_factory=dict)


ABOUT = web.RequestKey("about", About)


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


def by(request: web.Request) -> By:
    """Return whose wish a request is, and why."""
    return By(request[WHO].id, reason_of(request), request.remote or "local socket")


def room_of(rooms: Rooms, wave_id: Any) -> LiveRoom:
    """Return the room that is named.

    Raises:
        Problem: 404 ``wave-unknown``.

    """
    known = isinstance(wave_id, str) and _WAVE.fullmatch(wave_id)
    room = rooms.get(wave_id) if known else None
    if room is None:
        raise Problem("wave-unknown")
    return room


def about(request: web.Request, wave: Wave, changes: Mapping[str, Any] | None = None) -> None:
    """Note what an action is about."""
    request[ABOUT] = About(wave, changes or {})
