"""Which bodies are believed."""

import asyncio
import gzip
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from aiohttp import web

from gateway.web import body
from gateway.web.body import parse_form, parse_json, read_form, read_json, read_nothing
from gateway.web.listener import Site
from gateway.web.problems import Problem, problem_middleware
from gateway.web.security import security_middleware
from tests.web.wire import ask, request, serving, wire

JSON = "application/json"
FORM = "application/x-www-form-urlencoded"


def code_of(parse: Callable[[bytes], object], data: bytes) -> str:
    with pytest.raises(Problem) as caught:
        parse(data)
    return caught.value.code


INVALID_JSON = {
    "empty": b"",
    "blank": b" \n",
    "opened": b"{",
    "unquoted": b"{a}",
    "two documents": b"{}{}",
    "trailing bytes": b"{} x",
    "trailing NUL": b"{}\0",
    "NaN": b'{"a": NaN}',
    "Infinity": b'{"a": Infinity}',
    "-Infinity": b'{"a": -Infinity}',
    "1e400": b'{"a": 1e400}',
    "beyond 2^53": b'{"a": 9007199254740992}',
    "beyond -2^53": b'{"a": -9007199254740992}',
    "as a float": b'{"a": 9007199254740993.0}',
    "5,000 digits": b'{"a": ' + b"1" * 5000 + b"}",
    "33 characters": b'{"a": 0.' + b"1" * 31 + b"}",
    "8,000 brackets": b"[" * 8000,
    "8,000 braces": b'{"a":' * 8000,
    "depth 9": b'{"a":' + b"[" * 8 + b"]" * 8 + b"}",
    "65 members": b"{" + b",".join(b'"k%d":1' % i for i in range(65)) + b"}",
    "duplicate keys": b'{"nik":"A","nik":"B"}',
    "duplicate keys within": b'{"a":{"b":1,"b":1}}',
    "duplicate by escape": b'{"a":1,"\\u0061":2}',
    "byte order mark": b"\xef\xbb\xbf{}",
    "UTF-16": '{"a":1}'.encode("utf-16"),
    "UTF-16 without mark": '{"a":1}'.encode("utf-16-le"),
    "invalid UTF-8": b'{"a":"\xff"}',
    "overlong UTF-8": b'{"a":"\xc0\xaf"}',
    "encoded surrogate": b'{"a":"\xed\xa0\x80"}',
    "raw control": b'{"a":"\x01"}',
    "single quotes": b"{'a':1}",
    "comment": b"{}//",
    "leading zero": b'{"a":01}',
    "plus": b'{"a":+1}',
    "random": bytes(range(256)),
}


@pytest.mark.parametrize("data", INVALID_JSON.values(), ids=INVALID_JSON)
def test_what_two_readers_could_read_differently_is_no_json(data: bytes) -> None:
    begun = time.perf_counter()
    assert code_of(parse_json, data) == "json-invalid"
    assert time.perf_counter() - begun < 0.05  # 5 ms on a quiet machine


@pytest.mark.parametrize("data", [b"[]", b"1", b'"a"', b"null", b"true", b"[{}]"])
def test_the_top_level_is_an_object(data: bytes) -> None:
    assert code_of(parse_json, data) == "field-type"


@pytest.mark.parametrize(
    ("data", "document"),
    [
        (b"{}", {}),
        (b' {"a" : 1}\n', {"a": 1}),
        (b'{"a":9007199254740991}', {"a": 2**53 - 1}),
        (b'{"a":-0.5}', {"a": -0.5}),
        (b'{"a":"1"}', {"a": "1"}),
        (b'{"a":"[[[[[[[[[[[[ \\" ["}', {"a": '[[[[[[[[[[[[ " ['}),
        (b'{"a":' + b"[" * 7 + b"]" * 7 + b"}", {"a": [[[[[[[]]]]]]]}),
        ('{"a":"Dewi \U0001f600"}'.encode(), {"a": "Dewi \U0001f600"}),
        (b'{"a":"\\ud800"}', {"a": "\ud800"}),  # the form refuses it by name
        (b'{"__proto__":1}', {"__proto__": 1}),
    ],
)
def test_json_is_read_as_it_was_meant(data: bytes, document: dict[str, Any]) -> None:
    assert parse_json(data) == document


@pytest.mark.parametrize(
    "data",
    [
        b"a",
        b"a=1&a=2",
        b"a=%ff",
        b"a=\xff",
        b"a=1&&b=2",
        b"&".join(b"k%d=1" % i for i in range(65)),
    ],
)
def test_an_ambiguous_form_is_refused(data: bytes) -> None:
    assert code_of(parse_form, data) == "form-invalid"


def test_a_form_is_read_as_it_was_meant() -> None:
    assert parse_form(b"") == {}
    assert parse_form(b"nama=Dewi+Ayu%20S&email=&x=%26") == {
        "nama": "Dewi Ayu S",
        "email": "",
        "x": "&",
    }


def reading_app() -> web.Application:
    async def json_handler(req: web.Request) -> web.Response:
        return web.json_response(await read_json(req))

    async def form_handler(req: web.Request) -> web.Response:
        return web.json_response(await read_form(req))

    async def nothing_handler(req: web.Request) -> web.Response:
        await read_nothing(req)
        return web.json_response({})

    app = web.Application(middlewares=[problem_middleware, security_middleware])
    app.router.add_post("/json", json_handler)
    app.router.add_post("/form", form_handler)
    app.router.add_post("/nothing", nothing_handler)
    app.router.add_get("/nothing", nothing_handler)
    app.router.add_delete("/nothing", nothing_handler)
    return app


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    async with serving(reading_app()) as site:
        yield site


CHUNKED = b"2\r\n{}\r\n"
HEADS = [
    ("/json", b"{}", {"Content_Type": JSON}, 200, ""),
    ("/json", b"{}", {"Content_Type": "Application/JSON; charset=UTF-8"}, 200, ""),
    ("/json", b"{}", {"Content_Type": 'application/json;charset="utf-8";v=1'}, 200, ""),
    ("/json", b"{}", {"Content_Type": JSON, "Content_Encoding": "identity"}, 200, ""),
    ("/json", b"{}", {}, 415, "media-type"),
    ("/json", b"{}", {"Content_Type": "text/plain"}, 415, "media-type"),
    ("/json", b"a=1", {"Content_Type": FORM}, 415, "media-type"),
    ("/json", b"{}", {"Content_Type": "multipart/form-data; boundary=x"}, 415, "media-type"),
    ("/json", b"{}", {"Content_Type": f"{JSON}; charset=latin-1"}, 415, "media-type"),
    ("/json", b"{}", {"Content_Type": f"{JSON}; charset=bogus"}, 415, "media-type"),
    (
        "/json",
        gzip.compress(b"{}"),
        {"Content_Type": JSON, "Content_Encoding": "gzip"},
        415,
        "media-type",
    ),
    ("/json", b"no gzip", {"Content_Type": JSON, "Content_Encoding": "gzip"}, 415, "media-type"),
    ("/json", b"{}", {"Content_Type": JSON, "Content_Encoding": "br"}, 415, "media-type"),
    ("/json", b"{}", {"Content_Type": JSON, "Content_Encoding": "foo"}, 415, "media-type"),
    ("/json", b'{"a":"' + b"x" * 16384 + b'"}', {"Content_Type": JSON}, 413, "too-large"),
    ("/json", b'{"a":"' + b"x" * 16376 + b'"}', {"Content_Type": JSON}, 200, ""),
    ("/json", None, {"Content_Type": JSON}, 400, "json-invalid"),
    ("/form", b"a=1", {"Content_Type": FORM}, 200, ""),
    ("/form", b"{}", {"Content_Type": JSON}, 415, "media-type"),
    ("/nothing", None, {}, 200, ""),
    ("/nothing", b"", {}, 200, ""),
    ("/nothing", b"", {"Content_Type": JSON}, 200, ""),
    ("/nothing", b"{}", {"Content_Type": JSON}, 200, ""),
    ("/nothing", b'{"a":1}', {"Content_Type": JSON}, 422, "field-unknown"),
    ("/nothing", b"x", {"Content_Type": "text/plain"}, 415, "media-type"),
    ("/nothing", b"", {"Content_Type": FORM}, 415, "media-type"),
    ("/nothing", b"x", {}, 415, "media-type"),
]


@pytest.mark.parametrize("row", HEADS)
async def test_type_size_and_encoding_decide_before_content(site: Site, row: Any) -> None:
    path, data, headers, status, code = row
    answer = await ask(site, request(path, "POST", data, headers))
    assert answer.status == status
    assert code in {"", answer.json.get("type", "").rpartition("/")[2]}


async def test_a_length_above_the_limit_is_refused_without_waiting_for_a_byte(site: Site) -> None:
    for method, path in (("POST", "/json"), ("GET", "/nothing"), ("DELETE", "/nothing")):
        async with wire(site) as client:
            data = request(path, method, Content_Type=JSON, Content_Length="1000000000")
            assert (await client.ask(data)).code == "too-large"
            assert await client.is_closed()


async def test_chunks_above_the_limit_are_refused(site: Site) -> None:
    chunk = b"1000\r\n" + b"x" * 4096 + b"\r\n"
    async with wire(site) as client:
        head = request("/json", "POST", Content_Type=JSON, Transfer_Encoding="chunked")
        assert (await client.ask(head + chunk * 5)).code == "too-large"
        assert await client.is_closed()


async def test_a_chunked_body_is_read_like_any_other(site: Site) -> None:
    head = request("/json", "POST", Content_Type=JSON, Transfer_Encoding="chunked")
    assert (await ask(site, head + CHUNKED + b"0\r\n\r\n")).status == 200


@pytest.mark.parametrize("size", ["zz", "123456789012345678", "-1", "0x10"])
async def test_a_broken_chunk_is_told_at_once(site: Site, size: str) -> None:
    head = request("/json", "POST", Content_Type=JSON, Transfer_Encoding="chunked")
    for between in (b"", CHUNKED):
        async with wire(site) as client:
            assert (await client.ask(head + between + f"{size}\r\n".encode())).code == "framing"
            assert await client.is_closed()


async def test_a_body_that_drips_is_cut_off(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(body, "DEADLINE_S", 0.3)
    head = request("/json", "POST", Content_Type=JSON, Content_Length="100")
    async with wire(site) as client:
        client.writer.write(head + b"{")
        answer = asyncio.create_task(client.answer())
        begun = time.monotonic()
        while not answer.done():
            client.writer.write(b" ")
            await asyncio.wait([answer], timeout=0.05)
        assert (await answer).code == "body-timeout"
        assert time.monotonic() - begun < 2
        assert await client.is_closed()


async def test_a_body_that_means_nothing_is_read_and_ignored(site: Site) -> None:
    async with wire(site) as client:
        for _ in range(2):
            answer = await client.ask(request("/nothing", "GET", b"", Content_Type=None))
            assert answer.status == 200
        data = request("/nothing", "DELETE", b"{}", Content_Type=JSON)
        assert (await client.ask(data)).status == 200
        assert (await client.ask(request("/nothing"))).status == 200


async def test_100_continue_comes_after_every_check_that_needs_no_body(site: Site) -> None:
    expecting = {"Expect": "100-continue", "Content_Length": "2"}
    async with wire(site) as client:
        refused = await client.ask(
            request("/json", "POST", headers=expecting, Content_Type="text/plain")
        )
        assert refused.status == 415
        assert await client.is_closed()
    async with wire(site) as client:
        go_on = await client.ask(request("/json", "POST", headers=expecting, Content_Type=JSON))
        assert go_on.status == 100
        assert (await client.ask(b"{}")).status == 200
        assert (await client.ask(request("/nothing"))).status == 200


async def test_no_other_expectation_is_met(site: Site) -> None:
    data = request("/json", "POST", b"{}", Content_Type=JSON, Expect="200-ok")
    assert (await ask(site, data)).code == "expectation"
