"""What of a request's body is believed: strict JSON, strict forms, in bounded time and space.

Every check that needs no body comes before the first byte is asked for. The standard library's
decoder, not a faster one, because only it shows duplicate keys and numbers as they were written.
"""

import asyncio
import json
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, NoReturn
from urllib.parse import parse_qsl

from aiohttp import web

from gateway.web.problems import Problem

LIMIT_BYTES = 16 * 1024
DEADLINE_S = 10.0  # for the whole body, dripping or not
DEPTH_MAX = 8
MEMBERS_MAX = 64
NUMBER_CHARACTERS_MAX = 32
NUMBER_MAX = 2**53 - 1  # beyond it, other readers of the same JSON see another number
JSON_TYPE, FORM_TYPE = "application/json", "application/x-www-form-urlencoded"

CONTINUE = web.RequestKey("continue", bool)  # the client waits for 100 before it sends the body
# Entered while the rest of a body is awaited: who has yet to send takes no room from others.
Awaiting = Callable[[], AbstractContextManager[None]]
AWAITING: web.RequestKey[Awaiting] = web.RequestKey("awaiting")

_STRING = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)
_BRACKET = re.compile(r"[][{}]")


async def read_json(request: web.Request, limit_bytes: int = LIMIT_BYTES) -> dict[str, Any]:
    """Return the one JSON object that the body is.

    Raises:
        Problem: 415, 413, 408, 400 ``json-invalid``, or 422 when it is no object.

    """
    expect_body(request, JSON_TYPE, limit_bytes)
    return parse_json(await _read(request, limit_bytes))


async def read_form(request: web.Request, limit_bytes: int = LIMIT_BYTES) -> dict[str, str]:
    """Return the fields of an urlencoded form, each at most once.

    Raises:
        Problem: 415, 413, 408 or 400 ``form-invalid``.

    """
    expect_body(request, FORM_TYPE, limit_bytes)
    return parse_form(await _read(request, limit_bytes))


async def read_nothing(request: web.Request) -> None:
    """Read the body of a request that needs none: nothing, or an empty JSON object.

    Raises:
        Problem: 415, 413, 408, 400 ``json-invalid``, or 422 ``field-unknown``.

    """
    expect_nothing(request)
    if request.body_exists:
        parse_nothing(await _read(request, LIMIT_BYTES))


async def discard(request: web.Request) -> None:
    """Read and forget a body that means nothing, such as that of a GET."""
    if request.body_exists:
        _check_length(request, LIMIT_BYTES)
        await _read(request, LIMIT_BYTES)


def expect_nothing(request: web.Request) -> None:
    """Check what the head says of a body that may be missing.

    Raises:
        Problem: 415 ``media-type`` or 413 ``too-large``.

    """
    if request.body_exists or "Content-Type" in request.headers:
        expect_body(request, JSON_TYPE)


def expect_body(request: web.Request, media_type: str, limit_bytes: int = LIMIT_BYTES) -> None:
    """Check what the head says of the body.

    Raises:
        Problem: 415 ``media-type`` or 413 ``too-large``.

    """
    name, *parameters = request.headers.get("Content-Type", "").split(";")
    charset = next((text for text in map(_charset, parameters) if text), "utf-8")
    encoding = request.headers.get("Content-Encoding", "identity").strip().lower()
    if name.strip().lower() != media_type or charset != "utf-8" or encoding != "identity":
        raise Problem("media-type", headers={"Accept": media_type}, close=request.body_exists)
    _check_length(request, limit_bytes)


def _charset(parameter: str) -> str:
    name, _, value = parameter.partition("=")
    return value.strip().strip('"').lower() if name.strip().lower() == "charset" else ""


def _check_length(request: web.Request, limit_bytes: int) -> None:
    if (request.content_length or 0) > limit_bytes:
        raise Problem("too-large", close=True)


async def _read(request: web.Request, limit_bytes: int) -> bytes:
    if request.content.is_eof():
        return await _collect(request, limit_bytes)
    with request.get(AWAITING, nullcontext)():
        return await _collect(request, limit_bytes)


async def _collect(request: web.Request, limit_bytes: int) -> bytes:
    chunks, size = [], 0
    if request.get(CONTINUE):
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.writer.output_size = 0  # nothing of the answer itself has been sent
    try:
        async with asyncio.timeout(DEADLINE_S):
            while chunk := await request.content.readany():
                size += len(chunk)
                if size > limit_bytes:
                    raise Problem("too-large", close=True)
                chunks.append(chunk)
    except TimeoutError:
        raise Problem("body-timeout", close=True) from None
    except web.RequestPayloadError:
        raise Problem("framing", close=True) from None
    return b"".join(chunks)


def parse_nothing(data: bytes) -> None:
    """Refuse a body that is neither empty nor an empty object.

    Raises:
        Problem: 400 ``json-invalid``; 422 ``field-unknown``.

    """
    if data and parse_json(data):
        raise Problem("field-unknown", errors=[{"pointer": "", "code": "field-unknown"}])


def parse_json(data: bytes) -> dict[str, Any]:
    """Return the object in ``data``, refusing whatever two readers could read differently.

    Raises:
        Problem: 400 ``json-invalid``; 422 ``field-type`` when it is no object.

    """
    try:
        text = data.decode("utf-8")
        _check_depth(text)
        document = _DECODER.decode(text)
    except ValueError:
        raise Problem("json-invalid") from None
    if not isinstance(document, dict):
        error = {"pointer": "", "code": "field-type", "expected": {"type": "object"}}
        raise Problem("field-type", errors=[error])
    return document


def _check_depth(text: str) -> None:
    if text.count("{") + text.count("[") <= DEPTH_MAX:
        return  # nearly all of them
    depth = 0
    for bracket in _BRACKET.finditer(_STRING.sub("", text)):
        depth += 1 if bracket[0] in "[{" else -1
        if depth > DEPTH_MAX:
            raise ValueError("too deep")


def _members(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs) or len(members) > MEMBERS_MAX:
        raise ValueError("duplicate key, or too many")
    return members


def _integer(text: str) -> int:
    # Length first: converting thousands of digits takes quadratic time.
    if len(text) > NUMBER_CHARACTERS_MAX or abs(number := int(text)) > NUMBER_MAX:
        raise ValueError("number out of range")
    return number


def _float(text: str) -> float:
    if len(text) > NUMBER_CHARACTERS_MAX or not abs(number := float(text)) <= NUMBER_MAX:
        raise ValueError("number out of range")
    return number


def _constant(_: str) -> NoReturn:
    raise ValueError("NaN and Infinity are no JSON")


_DECODER = json.JSONDecoder(
    object_pairs_hook=_members,
    parse_int=_integer,
    parse_float=_float,
    parse_constant=_constant,
)


def parse_form(data: bytes) -> dict[str, str]:
    """Return the fields in ``data``.

    Raises:
        Problem: 400 ``form-invalid``: not ASCII, not UTF-8 inside, a field twice, too many.

    """
    if not data:
        return {}
    try:
        pairs = parse_qsl(
            data.decode("ascii"),
            keep_blank_values=True,
            strict_parsing=True,
            errors="strict",
            max_num_fields=MEMBERS_MAX,
        )
    except ValueError:
        raise Problem("form-invalid") from None
    fields: Mapping[str, str] = dict(pairs)
    if len(fields) != len(pairs):
        raise Problem("form-invalid")
    return dict(fields)
