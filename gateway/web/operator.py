"""The operator's listener: who may do what, and which handler does it (design, section 7).

Every request passes ``access`` before anything is read of its body. GET changes nothing. An action that is
refused leaves an audit record as one that is allowed does.
"""

import asyncio
import contextlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from gateway.core.credentials import Operator
from gateway.ports import OutcomeUnknownError, PortError, PortUnavailableError, RoomPort
from gateway.services.changes import PolicyDesk
from gateway.services.dead_letters import DeadLetters
from gateway.services.operations import Operations
from gateway.services.records import By
from gateway.services.rooms import Rooms
from gateway.services.steward import Steward
from gateway.web.access import CHANGING, Door, note_refusal
from gateway.web.console import Console
from gateway.web.counting import Meter, counting_middleware
from gateway.web.desk import ABOUT, REASON_CHARACTERS_MAX, WHO, About, json_response
from gateway.web.letters import LettersDesk
from gateway.web.policies import PolicyHandlers
from gateway.web.problems import STYLE, Problem, ProblemStyle, problem_middleware
from gateway.web.renewal import Renewal, RenewalDesk
from gateway.web.security import security_middleware

METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"
READY_RETRY_S = 1  # when to look again whether a process gets ready


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


@dataclass(frozen=True, slots=True)
class Services:
    """What stands behind the listener."""

    operations: Operations
    policies: PolicyDesk
    letters: DeadLetters
    steward: Steward
    rooms: Rooms
    port: RoomPort
    renewal: Renewal | None = None  # None: nobody would follow this process


def operator_app(
    services: Services,
    operators: Callable[[], Iterable[Operator]],
    render_metrics: Callable[[], bytes],
    meter: Meter | None = None,
    style: ProblemStyle = ProblemStyle(),  # noqa: B008  immutable
    *,
    console_key: bytes = b"",
) -> web.Application:
    """Assemble the listener; ``operators`` is asked at every request who is one."""
    door = Door(operators, console_key)
    # Credentials first: whoever shows none learns nothing else, not even that a body is malformed.
    counting = [] if meter is None else [counting_middleware(meter)]
    access = access_middleware(door, services.policies)
    app = web.Application(middlewares=[problem_middleware, *counting, access, security_middleware])
    app[STYLE] = style
    for method, path, handler in _routes(services, door, render_metrics):
        app.router.add_route(method, path, handler)
    return app


def _routes(
    services: Services, door: Door, render_metrics: Callable[[], bytes]
) -> Iterable[tuple[str, str, Handler]]:
    """Yield all of ``core/credentials.ACCESS``, with what answers."""
    desk = Desk(services.operations, render_metrics)
    policies = PolicyHandlers(services.rooms, services.policies)
    letters = LettersDesk(services.letters, services.rooms)
    renewal = RenewalDesk(services.renewal, services.policies, services.operations.process)
    console = Console(door, services.rooms, services.port, services.steward)
    handlers: Mapping[str, Mapping[str, Handler]] = {
        "/": {"GET": console.page},
        "/wall": {"GET": console.page},
        "/console/{file}": {"GET": console.file},
        "/healthz": {"GET": desk.healthz},
        "/readyz": {"GET": desk.readyz},
        "/metrics": {"GET": desk.metrics},
        "/v1/session": {"GET": console.session, "POST": console.login, "DELETE": console.logout},
        "/v1/status": {"GET": desk.status},
        "/v1/waves/{wave}/trail": {"GET": console.trail},
        "/v1/waves/{wave}/forecast": {"GET": policies.forecast},
        "/v1/waves/{wave}/policy": {"GET": policies.read, "PUT": policies.change},
        "/v1/waves/{wave}/undo": {"POST": policies.undo},
        "/v1/tickets/{number}": {"GET": console.ticket},
        "/v1/audit": {"GET": policies.audit},
        "/v1/dead-letters": {"GET": letters.dead},
        "/v1/dead-letters/retry": {"POST": letters.retry},
        "/v1/reconciliation": {"POST": letters.reconcile},
        "/v1/reload": {"POST": renewal.reload},
    }
    for path, methods in handlers.items():
        for method, handler in methods.items():
            yield method, path, handler
            if method == "GET":
                yield "HEAD", path, handler


def access_middleware(door: Door, policies: PolicyDesk) -> Middleware:
    """Return the middleware that lets in, and has each action that is refused stand in the audit."""

    @web.middleware
    async def admit(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            door.admit(request)
            return await handler(request)
        except PortUnavailableError as error:
            detail = "Redis does not answer. Nothing was changed."
            raise Problem("redis-unavailable", detail, retry_after_s=error.retry_after_s) from None
        except OutcomeUnknownError:
            detail = "No answer came: the change may have been made. Read the policy."
            raise Problem("outcome-unknown", detail) from None
        except Problem as problem:
            await _keep_refusal(request, policies, problem)
            raise

    return admit


async def _keep_refusal(request: web.Request, policies: PolicyDesk, problem: Problem) -> None:
    """Audit that an operator's action was refused; where no wave was named, the log must do."""
    acts = request.method in CHANGING and request.query.get("dry_run") != "1"
    if WHO not in request or not (acts or problem.code == "role-missing"):
        return
    who, what = request[WHO].id, request.get(ABOUT) or About()
    wave = what.wave or policies.wave(request.match_info.get("wave", ""))
    note_refusal(request, problem.code, who=who, **({"wave": wave.id} if wave else {}))
    if not acts or wave is None or problem.status in {429, 503}:  # a flood fills no audit
        return
    reason = request.headers.get("X-Reason", "")[:REASON_CHARACTERS_MAX]
    whose = By(who, reason if reason.isprintable() else "", request.remote or "local socket")
    did = f"{request.method} {request.path}"
    with contextlib.suppress(PortError):
        await policies.refused(wave, whose, did, problem.code, what.changes)
