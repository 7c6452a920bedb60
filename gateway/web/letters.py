"""The operator's way to dead letters and to a comparison with the store (design, section 7).

``GET /v1/dead-letters`` · ``POST /v1/dead-letters/retry`` with ``{"wave", "ids"}``, no ids meaning all ·
``POST /v1/reconciliation`` with ``{"wave"}``, none meaning all. Asking twice is asking once: what was retried
is no dead letter any more.
"""

import re
import time
from collections.abc import Sequence
from typing import Any

from aiohttp import web

from gateway.core.programme import Wave
from gateway.services.dead_letters import DeadLetters
from gateway.services.records import record_of
from gateway.services.rooms import Rooms
from gateway.web.body import read_json
from gateway.web.desk import BODY_BYTES_MAX, about, by, json_response, room_of
from gateway.web.problems import Problem

IDS_MAX = 500
_ID = re.compile(r"[0-9]{1,20}-[0-9]{1,20}")


class LettersDesk:
    """The handlers."""

    def __init__(self, letters: DeadLetters, rooms: Rooms) -> None:
        self._letters, self._rooms = letters, rooms

    async def dead(self, request: web.Request) -> web.Response:
        """Show the dead letters of all waves, or of one (``?wave=``)."""
        waves = self._waves(request.query.get("wave"))
        return json_response(
            {"dead_letters": await self._letters.told(waves, time.time_ns() // 1_000)}
        )

    async def retry(self, request: web.Request) -> web.Response:
        """Have some dead letters tried again, or all of a wave."""
        fields = await _fields(request, "wave", "ids")
        ids = fields.get("ids", [])
        if "wave" not in fields or not _are_ids(ids):
            raise Problem(
                "policy-invalid", f"Send wave, and ids of at most {IDS_MAX} dead letters."
            )
        (wave,) = self._waves(fields["wave"])
        about(request, wave)
        if "ids" in fields and not ids:  # none of them, not all
            return json_response({"wave": wave.id, "retried": 0})
        return json_response(await self._letters.retry(wave, ids, self._audit(request)))

    async def reconcile(self, request: web.Request) -> web.Response:
        """Have every receipt compared with the store."""
        fields = await _fields(request, "wave")
        waves = self._waves(fields.get("wave"))
        return json_response({"asked": await self._letters.reconcile(waves, self._audit(request))})

    def _waves(self, wave_id: Any) -> Sequence[Wave]:
        if wave_id is None:
            return [room.wave for room in self._rooms]
        return [room_of(self._rooms, wave_id).wave]

    def _audit(self, request: web.Request) -> dict[str, str]:
        return record_of(by(request)) | {"did": request.path}


async def _fields(request: web.Request, *known: str) -> dict[str, Any]:
    fields = dict(await read_json(request, limit_bytes=BODY_BYTES_MAX))
    if set(fields) - set(known):
        raise Problem("policy-invalid", f"Known fields are {' and '.join(known)}.")
    return fields


def _are_ids(ids: Any) -> bool:
    return (
        isinstance(ids, list)
        and len(ids) <= IDS_MAX
        and all(isinstance(each, str) and _ID.fullmatch(each) for each in ids)
    )
