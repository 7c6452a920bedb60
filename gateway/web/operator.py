"""The operator's listener: health, metrics, status, policies and their audit (design, section 7).

Every request passes ``access`` before anything is read of its body. GET changes nothing.
"""

import asyncio
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import structlog
from aiohttp import web
from aiohttp.typedefs import Handler

from gateway.core.credentials import Operator
from gateway.core.policy import BOUNDS, Violation, to_document
from gateway.ports import OutcomeUnknownError, PortUnavailableError, Stale
from gateway.services.dead_letters import DeadLetters
from gateway.services.operations import Operations, describe
from gateway.services.rooms import LiveRoom
from gateway.web.access import WHO, Door, note_refusal
from gateway.web.body import read_json
from gateway.web.counting import Meter, counting_middleware
from gateway.web.desk import json_response, reason_of
from gateway.web.letters import LettersDesk
from gateway.web.problems import STYLE, Problem, ProblemStyle, problem_middleware
from gateway.web.security import security_middleware

BODY_BYTES_MAX = 256 * 1024
METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"
READY_RETRY_S = 1  # when to look again whether a process gets ready

_WAVE = re.compile(r"[a-z0-9-]{1,64}")
_REVISION = re.compile(r'"?([0-9]{1,15})"?')
_TELLABLE = re.compile(r"/[a-z_]{1,40}")

_log = structlog.get_logger("gateway.operator")


class Desk:
    """The handlers."""

    def __init__(self, operations: Operations, render_metrics: Callable[[], bytes]) -> None:
        self._operations = operations
        self._render_metrics = render_metrics

    async def healthz(self, _: web.Request) -> web.Response:
        """Answer: the process is alive. Asks nobody."""
        return json_response({"alive": True})

    async def readyz(self, _: web.Request) -> web.Response:
        """Say whether this process should get traffic; without Redis it still should."""
        ready = self._operations.readiness()
        document: dict[str, Any] = {
            "ready": ready.ready,
            "accepting": ready.accepting,
            "reasons": ready.reasons,
        }
        if ready.ready:
            return json_response(document)
        response = json_response(document | {"retry_in_ms": READY_RETRY_S * 1000}, status=503)
        response.headers["Retry-After"] = str(READY_RETRY_S)
        return response

    async def metrics(self, _: web.Request) -> web.Response:
        """Show the metrics of all processes on this machine."""
        # Reading every process's file takes milliseconds: not on the loop that serves applicants.
        body = await asyncio.to_thread(self._render_metrics)
        headers = {"Content-Type": METRICS_TYPE, "Cache-Control": "no-store"}
        return web.Response(body=body, headers=headers)

    async def status(self, _: web.Request) -> web.Response:
        """Show all counters, ages and processes."""
        return json_response(await self._operations.status())

    async def read_policy(self, request: web.Request) -> web.Response:
        """Show the policy in force; its revision is the ETag."""
        read = await self._operations.read_policy(self._room(request))
        return json_response(to_document(read.policy), revision=read.revision)

    async def change_policy(self, request: web.Request) -> web.Response:
        """Change the fields that are sent, all or none; with ``?dry_run=1`` only say what would be."""
        room, dry_run = self._room(request), _dry_run(request)
        revision, reason = _revision(request), reason_of(request)
        fields = await read_json(request, limit_bytes=BODY_BYTES_MAX)
        who = request[WHO].id
        answer = await self._operations.change_policy(
            room,
            revision,
            fields,
            who=who,
            reason=reason,
            origin=request.remote or "local socket",
            dry_run=dry_run,
        )
        if isinstance(answer, Stale):
            etag = {"ETag": f'"{answer.revision}"'}
            raise Problem("revision-stale", headers=etag, extra={"revision": answer.revision})
        if isinstance(answer, tuple):
            note_refusal(request, "policy-invalid", who=who, wave=room.wave.id)
            raise Problem("policy-invalid", errors=[_error(violation) for violation in answer])
        if answer.revision != revision:
            _log.info("policy changed", who=who, wave=room.wave.id, revision=answer.revision)
        document = {
            "wave": room.wave.id,
            "revision": answer.revision,
            "dry_run": dry_run,
            "changes": describe(answer.changes),
            "policy": to_document(answer.policy),
        }
        return json_response(document, revision=answer.revision)

    async def audit(self, request: web.Request) -> web.Response:
        """Show the latest records of all waves, or of one (``?wave=``)."""
        wave_id = request.query.get("wave")
        only = None if wave_id is None else self._known(wave_id)
        return json_response({"records": await self._operations.audit(only)})

    def _room(self, request: web.Request) -> LiveRoom:
        return self._known(request.match_info["wave"])

    def _known(self, wave_id: str) -> LiveRoom:
        room = self._operations.room(wave_id) if _WAVE.fullmatch(wave_id) else None
        if room is None:
            raise Problem("wave-unknown")
        return room


def operator_app(
    operations: Operations,
    operators: Callable[[], Iterable[Operator]],
    render_metrics: Callable[[], bytes],
    meter: Meter | None = None,
    style: ProblemStyle = ProblemStyle(),  # noqa: B008  immutable
    *,
    letters: DeadLetters,
) -> web.Application:
    """Assemble the listener; ``operators`` is asked at every request who is one."""
    door, desk = Door(operators), Desk(operations, render_metrics)
    letters_desk = LettersDesk(letters, operations)

    @web.middleware
    async def access_middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        door.admit(request)
        try:
            return await handler(request)
        except PortUnavailableError as error:
            detail = "Redis does not answer. Nothing was changed."
            raise Problem("redis-unavailable", detail, retry_after_s=error.retry_after_s) from None
        except OutcomeUnknownError:
            detail = "No answer came: the change may have been made. Read the policy."
            raise Problem("outcome-unknown", detail) from None

    # Credentials first: whoever shows none learns nothing else, not even that a body is malformed.
    counting = [] if meter is None else [counting_middleware(meter)]
    app = web.Application(
        middlewares=[problem_middleware, *counting, access_middleware, security_middleware]
    )
    app[STYLE] = style
    handlers = {
        "/healthz": desk.healthz,
        "/readyz": desk.readyz,
        "/metrics": desk.metrics,
        "/v1/status": desk.status,
        "/v1/audit": desk.audit,
        "/v1/waves/{wave}/policy": desk.read_policy,
        "/v1/dead-letters": letters_desk.dead,
    }
    for path, handler in handlers.items():
        app.router.add_get(path, handler)
    app.router.add_put("/v1/waves/{wave}/policy", desk.change_policy)
    app.router.add_post("/v1/dead-letters/retry", letters_desk.retry)
    app.router.add_post("/v1/reconciliation", letters_desk.reconcile)
    return app


def _dry_run(request: web.Request) -> bool:
    value = request.query.get("dry_run", "0")
    if value not in {"0", "1"}:  # a misunderstood wish would change something
        raise Problem("policy-invalid", "dry_run is 0 or 1.")
    return value == "1"


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
