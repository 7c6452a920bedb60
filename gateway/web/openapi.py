"""The description of the public API, OpenAPI 3.1, made from ``endpoints`` and the catalogue."""

from collections.abc import Mapping
from itertools import groupby
from typing import Any

from gateway import __version__
from gateway.web.catalogue import CATALOGUE
from gateway.web.endpoints import ENDPOINTS, EVERYWHERE, Endpoint

Schema = dict[str, Any]


def _object(required: Mapping[str, Schema], optional: Mapping[str, Schema] = {}) -> Schema:
    properties = dict(required) | dict(optional)
    return {"type": "object", "required": list(required), "properties": properties}


def _text(*choices: str, nullable: bool = False) -> Schema:
    schema: Schema = {"type": ["string", "null"] if nullable else "string"}
    return schema | ({"enum": [*choices, *([None] if nullable else [])]} if choices else {})


_INSTANT: Schema = {"type": "string", "format": "date-time"}
_COUNT: Schema = {"type": "integer", "minimum": 0}
_COUNT_OR_NULL: Schema = {"type": ["integer", "null"], "minimum": 0}
_SECONDS: Schema = {"type": "number", "minimum": 0, "description": "seconds"}
_PHASE = _text("scheduled", "prequeue", "open", "full", "closed", "paused", "recovering")
_ETA: Schema = {
    "type": ["array", "null"],
    "items": _COUNT,
    "minItems": 2,
    "maxItems": 2,
    "description": "from and to, seconds; null while unknown",
}
_DRAW = _object(
    {
        "commitment": _text(),
        "secret": _text(nullable=True),
        "beacon": _text(nullable=True),
        "seed": _text(nullable=True),
    }
)
_ERROR = _object({"pointer": _text(), "code": _text()}, {"expected": {"type": "object"}})

SCHEMAS: Mapping[str, Schema] = {
    "Ticket": _object({"ticket": _text(), "number": _COUNT, "phase": _PHASE, "poll_s": _SECONDS}),
    "Board": _object(
        {
            "programme": _text(),
            "wave": _text(),
            "phase": _PHASE,
            "opens_at": _INSTANT,
            "closes_at": _INSTANT,
            "issued": _COUNT,
            "cohort": _COUNT,
            "called": _COUNT,
            "near": _COUNT,
            "advance_per_s": {"type": ["number", "null"]},
            "approach_per_s": {"type": "number", "exclusiveMinimum": 0},
            "admitted": _COUNT,
            "quota": _COUNT,
            "places_left": _COUNT,
            "draw": _DRAW,
            "message": _text(),
            "poll_s": _SECONDS,
            "stretch": {"type": "number", "minimum": 1},
            "at": _INSTANT,
        },
        {
            "stale": {"type": "boolean", "description": "older than it should be: Redis is away"},
            "joins_paused": {
                "type": "boolean",
                "description": "the phase takes newcomers, the policy none",
            },
        },
    ),
    "Place": _object(
        {
            "state": _text(
                *("prequeue", "waiting", "called", "admitted", "registered"),
                *("left", "missed", "full", "closed", "paused", "recovering"),
            ),
            "number": _COUNT,
            "position": _COUNT_OR_NULL,
            "ahead": _COUNT_OR_NULL,
            "eta_s": _ETA,
            "outlook": _text("likely", "unlikely", "full", nullable=True),
            "poll_s": _SECONDS,
            "message": _text(),
            "at": _INSTANT,
        },
        {
            "places_left": _COUNT,
            "quota": _COUNT,
            "expires_at": _INSTANT,
            "extensions_left": _COUNT,
            "receipt": _text(),
        },
    ),
    "Pass": _object({"pass": _text(), "expires_at": _INSTANT}),
    "Waiting": _object({"state": _text(), "retry_in_ms": _COUNT}),
    "Extension": _object({"expires_at": _INSTANT}),
    "Form": {"type": "object", "description": "a JSON Schema"},
    "Values": {"type": "object", "description": "valid under the wave's form"},
    "Registration": _object({"receipt": _text(), "state": _text("received"), "at": _INSTANT}),
    "Receipt": _object(
        {
            "receipt": _text(),
            "wave": _text(),
            "state": _text("received", "recorded", "duplicate", "rejected"),
            "received_at": _INSTANT,
            "recorded_at": {"type": ["string", "null"], "format": "date-time"},
        }
    ),
    "Problem": _object(
        {
            "type": {"type": "string", "format": "uri"},
            "title": _text(),
            "status": {"type": "integer"},
            "detail": _text(),
            "instance": {"type": "string", "format": "uri"},
        },
        {"errors": {"type": "array", "items": _ERROR}, "retry_in_ms": _COUNT},
    ),
}


def describe() -> dict[str, Any]:
    """Return the whole document."""
    paths: dict[str, Any] = {}
    for endpoint in ENDPOINTS:
        paths.setdefault(endpoint.path, {})[endpoint.method.lower()] = _operation(endpoint)
    bearer = {"type": "http", "scheme": "bearer"}
    return {
        "openapi": "3.1.0",
        "info": {"title": "registration-gateway", "version": __version__},
        "paths": paths,
        "components": {
            "schemas": dict(SCHEMAS),
            "securitySchemes": {
                name: bearer | {"description": f"the {name}; browsers send it in a cookie"}
                for name in ("ticket", "pass")
            },
        },
    }


def _operation(endpoint: Endpoint) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": endpoint.name,
        "summary": endpoint.summary,
        "parameters": [
            {"name": name, "in": "path", "required": True, "schema": _text()}
            for name in endpoint.parameters
        ],
        "responses": _responses(endpoint),
        "security": [{endpoint.shown: []}] if endpoint.shown else [],
    }
    if endpoint.body:
        content = {"application/json": {"schema": _reference(endpoint.body)}}
        operation["requestBody"] = {"required": True, "content": content}
    return operation


def _responses(endpoint: Endpoint) -> dict[str, Any]:
    responses: dict[str, Any] = {}
    for status, name in endpoint.answers.items():
        responses[str(status)] = {"description": name or "done"}
        if name:
            content = {"application/json": {"schema": _reference(name)}}
            responses[str(status)]["content"] = content
    codes = sorted({*EVERYWHERE, *endpoint.problems}, key=lambda code: (_status(code), code))
    for problem_status, group in groupby(codes, key=_status):
        responses[str(problem_status)] = {
            "description": ", ".join(group),
            "content": {"application/problem+json": {"schema": _reference("Problem")}},
        }
    return responses


def _status(code: str) -> int:
    return CATALOGUE[code].status


def _reference(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}
