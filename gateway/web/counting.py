"""How was each request answered? Told to whoever counts, under the route's pattern.

Stands inside ``problem_middleware``, where a refusal is still an exception with its code.
"""

import time
from typing import Protocol

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from gateway.ports import OutcomeUnknownError, PortUnavailableError, RoomMissingError
from gateway.web.problems import CATALOGUE, Problem

NO_ROUTE = "none"


class Meter(Protocol):
    """Counts answers. Called in the event loop: neither raises nor waits."""

    def answered(self, method: str, route: str, status: int, took_s: float) -> None:
        """One request was answered."""

    def refused(self, code: str) -> None:
        """One request was refused, with this code of the problem catalogue."""


def counting_middleware(meter: Meter) -> Middleware:
    """Return the middleware that tells ``meter``."""

    @web.middleware
    async def count(request: web.Request, handler: Handler) -> web.StreamResponse:
        started_s, status = time.perf_counter(), 500
        try:
            response = await handler(request)
            status = response.status
        except Exception as exception:
            code, status = refusal_of(exception)
            if code:
                meter.refused(code)
            raise
        finally:
            resource = request.match_info.route.resource
            route = resource.canonical if resource else NO_ROUTE
            meter.answered(request.method, route, status, time.perf_counter() - started_s)
        return response

    return count
