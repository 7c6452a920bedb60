"""How was each request answered? Told to whoever counts, under the route's pattern.

Stands inside ``problem_middleware``, where a refusal is still an exception with its code.
"""

import time
from collections.abc import Sequence
from functools import partial
from typing import Protocol

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from gateway.core.flood import Throttled
from gateway.core.shedding import Rank
from gateway.web.problems import from_exception, request_id

NO_ROUTE = "none"


class Meter(Protocol):
    """Counts answers. Called in the event loop: neither raises nor waits."""

    def answered(self, method: str, route: str, status: int, took_s: float) -> None:
        """One request was answered."""

    def answered_many(self, method: str, route: str, status: int, count: int) -> None:
        """So many requests were answered by the lane, in no time worth telling."""

    def answered_in(self, method: str, route: str, status: int, took_s: Sequence[float]) -> None:
        """Requests were answered by the lane, each in so many seconds."""

    def shed(self, rank: Rank, count: int) -> None:
        """So many requests of this rank found no room."""

    def throttled(self, why: Throttled, count: int) -> None:
        """So many requests were refused because their client asks too often."""

    def refused(self, code: str) -> None:
        """One request was refused, with this code of the problem catalogue."""


def counting_middleware(meter: Meter) -> Middleware:
    """Return the middleware that tells ``meter``."""

    @web.middleware
    async def count(request: web.Request, handler: Handler) -> web.StreamResponse:
        started_s = time.perf_counter()

        def tell(status: int) -> None:
            resource = request.match_info.route.resource
            route = resource.canonical if resource else NO_ROUTE
            meter.answered(request.method, route, status, time.perf_counter() - started_s)

        try:
            response = await handler(request)
        except web.HTTPRedirection as redirection:
            tell(redirection.status)
            raise
        except Exception as exception:  # noqa: BLE001  whatever it is has a name in the catalogue
            problem = from_exception(partial(request_id, request), exception)
            tell(problem.status)
            meter.refused(problem.code)
            raise problem from None
        tell(response.status)
        return response

    return count
