"""The public listener's application: which paths exist, and in which order a request passes checks.

Paths of operators do not exist here.
"""

from collections.abc import Callable

import orjson
from aiohttp import web

from gateway.web.applicant import Applicant
from gateway.web.body import JSON_TYPE
from gateway.web.counting import Meter, counting_middleware
from gateway.web.documents import make_document, serve
from gateway.web.endpoints import ENDPOINTS
from gateway.web.openapi import describe
from gateway.web.problems import STYLE, ProblemStyle, problem_middleware
from gateway.web.public_services import PublicServices
from gateway.web.security import security_middleware

__all__ = ["PublicServices", "public_app"]

AddRoutes = Callable[[web.Application, PublicServices], None]


def public_app(
    services: PublicServices,
    style: ProblemStyle,
    *add_pages: AddRoutes,
    meter: Meter | None = None,
) -> web.Application:
    """Assemble the API, and whatever pages are given."""
    counting = [] if meter is None else [counting_middleware(meter)]
    app = web.Application(middlewares=[problem_middleware, *counting, security_middleware])
    app[STYLE] = style
    applicant = Applicant(services)
    for endpoint in ENDPOINTS:
        handler = getattr(applicant, endpoint.name)
        if endpoint.method == "GET":
            app.router.add_get(endpoint.path, handler)  # answers HEAD too
        else:
            app.router.add_route(endpoint.method, endpoint.path, handler)
    _add_description(app)
    for add in add_pages:
        add(app, services)
    return app


def _add_description(app: web.Application) -> None:
    headers = {"Cache-Control": "public, max-age=300"}
    document = make_document(orjson.dumps(describe()), JSON_TYPE, headers)

    async def description(request: web.Request) -> web.Response:
        return serve(request, document)

    app.router.add_get("/v1/openapi.json", description)
