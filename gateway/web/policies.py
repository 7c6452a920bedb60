"""The operator's way to policies and their audit over HTTP (design, section 7).

``PUT …/policy`` takes any fields, all or none, for the revision in ``If-Match``: ``?dry_run=1`` answers with
the plan, ``?for_s=900`` has them go back by themselves, ``?confirm=600`` repeats the value of a severe step.
``POST …/undo`` takes ``{"to": revision}``, or nothing for the one before. ``X-Reason`` says why, and must
while people are in the room, but for going on after a pause.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import structlog
from aiohttp import web

from gateway.core.clock import iso
from gateway.core.credentials import LEAST, PROMISED
from gateway.core.policy import BOUNDS, Violation, to_document
from gateway.core.policy_change import FOR_S_MAX, FOR_S_MIN, Severe, Unknown
from gateway.ports import Stale
from gateway.services.changes import (
    PolicyChange,
    PolicyDesk,
    Refusal,
    Unconfirmed,
    Unexplained,
    Wish,
)
from gateway.services.records import describe
from gateway.services.rooms import LiveRoom, Rooms
from gateway.web.body import read_json
from gateway.web.desk import BODY_BYTES_MAX, WHO, about, by, json_response, room_of
from gateway.web.problems import Problem

CONFIRM_CHARACTERS_MAX = 200

_REVISION = re.compile(r'"?([0-9]{1,15})"?')
_RECORD = re.compile(r"[0-9]{1,15}-[0-9]{1,15}")
_TELLABLE = re.compile(r"/[a-z_]{1,40}")

_log = structlog.get_logger("gateway.operator")


class PolicyHandlers:
    """The handlers."""

    def __init__(self, rooms: Rooms, desk: PolicyDesk) -> None:
        self._rooms, self._desk = rooms, desk

    async def read(self, request: web.Request) -> web.Response:
        """Show the policy in force; its revision is the ETag."""
        read = await self._desk.read(self._room(request))
        return json_response(to_document(read.policy), revision=read.revision)

    async def forecast(self, request: web.Request) -> web.Response:
        """Say how the wave goes on under the policy in force; what would change stands beside it."""
        return json_response(await self._desk.forecast(self._room(request)))

    async def change(self, request: web.Request) -> web.Response:
        """Change the fields that are sent, all or none; or only say what would be."""
        room, revision = self._room(request), _revision(request)
        whose, for_s, dry_run = by(request), _for_s(request), _flag(request, "dry_run")
        fields = await read_json(request, limit_bytes=BODY_BYTES_MAX)
        confirm = request.query.get("confirm", "")[:CONFIRM_CHARACTERS_MAX]
        wish = Wish(fields, confirm, for_s, dry_run)
        if fields.keys() & PROMISED.keys() and not dry_run:
            base = to_document((await self._desk.read(room)).policy)
            _expect_role(request, [name for name in fields if fields[name] != base.get(name)])
        answer = await self._desk.change(room, revision, wish, whose)
        return self._answer(request, room, answer, revision, dry_run=dry_run)

    async def undo(self, request: web.Request) -> web.Response:
        """Go back to an earlier policy, by default the one before."""
        room, revision = self._room(request), _revision(request)
        whose, dry_run = by(request), _flag(request, "dry_run")
        body = await read_json(request, limit_bytes=BODY_BYTES_MAX)
        to = body.get("to", revision - 1)
        if set(body) - {"to"} or not isinstance(to, int) or isinstance(to, bool):
            raise Problem("policy-invalid", 'Send {"to": revision}, or {} for the one before.')
        if not 1 <= to < revision:
            raise Problem("revision-unknown", "There is no such earlier revision.")
        if request[WHO].role < max(PROMISED.values()) and not dry_run:
            would_be = await self._desk.undo(room, revision, to, whose, dry_run=True)
            if isinstance(would_be, PolicyChange):
                _expect_role(request, would_be.changes)
        answer = await self._desk.undo(room, revision, to, whose, dry_run=dry_run)
        return self._answer(request, room, answer, revision, dry_run=dry_run)

    async def audit(self, request: web.Request) -> web.Response:
        """Show the latest records of all waves, or of one (``?wave=``); ``?verify=1`` checks them all.

        Of one wave ``?before=`` shows those before the record with that id: so all can be read.
        """
        wave_id, before = request.query.get("wave"), request.query.get("before", "")
        only = None if wave_id is None else room_of(self._rooms, wave_id)
        if before and (only is None or not _RECORD.fullmatch(before)):
            raise Problem(
                "policy-invalid", "before is the id of a record of the wave that is named."
            )
        document: dict[str, Any] = {"records": await self._desk.audit(only, before)}
        if _flag(request, "verify"):
            document["chains"] = await self._desk.chains()
        return json_response(document)

    def _room(self, request: web.Request) -> LiveRoom:
        room = room_of(self._rooms, request.match_info["wave"])
        about(request, room.wave)
        return room

    def _answer(
        self,
        request: web.Request,
        room: LiveRoom,
        answer: PolicyChange | Refusal | Unknown,
        revision: int,
        *,
        dry_run: bool,
    ) -> web.Response:
        if not isinstance(answer, PolicyChange):
            raise _refusal(request, room, answer)
        if answer.revision != revision:
            who, wave = request[WHO].id, room.wave.id
            _log.info("policy changed", who=who, wave=wave, revision=answer.revision)
        document = {
            "wave": room.wave.id,
            "revision": answer.revision,
            "dry_run": dry_run,
            "changes": describe(answer.changes),
            "policy": to_document(answer.policy),
            "confirm": _told(answer.steps),
        }
        if answer.timer:
            until = iso(answer.timer.until_us, room.programme.zone)
            document["timer"] = {"until": until, "fields": dict(answer.timer.fields)}
        if dry_run:
            document["plan"] = answer.plan
        return json_response(document, revision=answer.revision)


def _expect_role(request: web.Request, changed: Iterable[str]) -> None:
    """Refuse whoever may not change what was promised to the public."""
    needed = max((PROMISED[name] for name in changed if name in PROMISED), default=LEAST)
    if request[WHO].role < needed:
        detail = f"{', '.join(sorted(PROMISED))} are changed by the role {needed.name.lower()}."
        raise Problem("role-missing", detail)


def _refusal(request: web.Request, room: LiveRoom, answer: Refusal | Unknown) -> Problem:
    """Say why nothing was changed."""
    if isinstance(answer, Stale):
        etag = {"ETag": f'"{answer.revision}"'}
        return Problem("revision-stale", headers=etag, extra={"revision": answer.revision})
    if isinstance(answer, Unknown):
        return Problem("revision-unknown", extra={"revision": answer.revision})
    if isinstance(answer, Unexplained):
        about(request, room.wave, answer.changes)
        detail = f"The wave is {answer.phase}: say why in X-Reason; it is kept with the change."
        return Problem("reason-missing", detail)
    if isinstance(answer, Unconfirmed):
        about(request, room.wave, answer.changes)
        return Problem("confirmation-missing", extra={"confirm": _told(answer.steps)})
    return Problem("policy-invalid", errors=[_error(violation) for violation in answer])


def _told(steps: Sequence[Severe]) -> list[dict[str, Any]]:
    return [{"name": step.name, "value": step.value, "why": step.why} for step in steps]


def _flag(request: web.Request, name: str) -> bool:
    value = request.query.get(name, "0")
    if value not in {"0", "1"}:  # a misunderstood wish would change something
        raise Problem("policy-invalid", f"{name} is 0 or 1.")
    return value == "1"


def _for_s(request: web.Request) -> int | None:
    text = request.query.get("for_s")
    if text is None:
        return None
    seconds = int(text) if re.fullmatch(r"[0-9]{1,6}", text) else 0
    if not FOR_S_MIN <= seconds <= FOR_S_MAX:
        raise Problem("policy-invalid", f"for_s is from {FOR_S_MIN} to {FOR_S_MAX} seconds.")
    return seconds


def _revision(request: web.Request) -> int:
    conditions = request.headers.getall("If-Match", ())
    match = _REVISION.fullmatch(conditions[0]) if len(conditions) == 1 else None
    if match is None:
        raise Problem("revision-missing")
    return int(match[1])


def _error(violation: Violation) -> Mapping[str, str]:
    """Tell one violation. Names of unknown fields are the sender's own: only plain ones go back."""
    tellable = _TELLABLE.fullmatch(violation.pointer)
    bound = BOUNDS.get(violation.pointer[1:])
    error = {
        "pointer": violation.pointer if tellable else "",
        "code": violation.code,
        "detail": violation.detail,
    }
    return error | ({"hint": bound.note} if bound and bound.note else {})
