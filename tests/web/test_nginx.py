"""The sample for nginx, as a pair with the gateway: the same bytes, the same number of requests and verdicts."""

import asyncio
import re
import shutil
import socket
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.typedefs import Handler

from gateway.core.shedding import Rank
from gateway.web.clients import Proxies
from gateway.web.deadlines import Deadlines
from gateway.web.gate import Gate
from gateway.web.lane_table import make_lane
from gateway.web.listener import Site
from gateway.web.rendering import Pages
from tests.support import wait_until
from tests.web.house import PROGRAMME, House
from tests.web.wire import ask, request, serving

SAMPLE = Path("config/nginx")
HERE, DOWN = SAMPLE.absolute(), (SAMPLE / "down.html").read_bytes()
NGINX = shutil.which("nginx", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin")
JSON = "application/json"
WAVE = "/v1/waves/wave-1"
MAIN = """
daemon off; master_process off; pid {folder}/nginx.pid; error_log {folder}/error.log;
events {{ worker_connections 512; }}
http {{
    access_log off; default_type text/html;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/f;
    uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
    include {folder}/gateway.conf;
}}
"""

pytestmark = pytest.mark.skipif(NGINX is None, reason="nginx is not installed")


@dataclass
class Pair:
    """A gateway, and nginx in front of it."""

    house: House
    gate: Gate
    gateway: Site
    nginx: Any  # a `Site` for those who only want its port
    seen: list[str] = field(default_factory=list)  # requests that reached the gateway

    async def both(
        self, data: bytes, *, done: bool = False
    ) -> tuple[tuple[int, int], tuple[int, int]]:
        """Return status of the first answer, and how many requests came, directly and through nginx."""
        told = []
        for site in (self.gateway, self.nginx):
            self.seen.clear()
            answer = await first_answer(site, data, done=done)
            told.append((answer, len(self.seen)))
        return told[0], told[1]


async def first_answer(site: Any, data: bytes, *, done: bool) -> int:
    reader, writer = await asyncio.open_connection("127.0.0.1", site.port)
    writer.write(data)
    try:
        async with asyncio.timeout(5):
            status = int((await reader.readline()).split()[1])
            if done:  # or the rest of a refused body would be awaited
                writer.write_eof()
            while await reader.read(65_536):
                pass
    finally:
        writer.close()
    return status


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@asynccontextmanager
async def nginx_before(port: int, folder: Path) -> AsyncIterator[Any]:
    own_port = free_port()
    text = (SAMPLE / "gateway.conf").read_text("utf-8")
    for sample, own in (
        ("127.0.0.1:8080", f"127.0.0.1:{port}"),
        ("listen 80;", f"listen 127.0.0.1:{own_port};"),
        ("/usr/share/gateway;", f"{HERE};"),
    ):
        assert text.count(sample) == 1, sample
        text = text.replace(sample, own)
    (folder / "gateway.conf").write_text(text, "utf-8")
    (folder / "nginx.conf").write_text(MAIN.format(folder=folder), "utf-8")
    nginx = await asyncio.create_subprocess_exec(
        str(NGINX), "-p", folder, "-c", folder / "nginx.conf",
        stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip

    async def answers() -> bool:
        assert nginx.returncode is None, (folder / "error.log").read_text("utf-8")
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", own_port)
        except OSError:
            return False
        writer.close()
        return True

    try:
        await wait_until(answers, what="nginx listens")
        yield Site(None, own_port, None, None)  # type: ignore[arg-type]
    finally:
        nginx.terminate()
        await nginx.wait()


@pytest.fixture
async def pair(tmp_path: Path) -> AsyncIterator[Pair]:
    house, gate, seen = House(), Gate("https://gateway.example/problems", lambda: 0.0), []
    app = house.app_with_pages()

    @web.middleware
    async def note(asked: web.Request, handler: Handler) -> web.StreamResponse:
        seen.append(f"{asked.method} {asked.path}")
        if asked.path == "/seen":
            return web.json_response(dict(asked.headers))
        return await handler(asked)

    app.middlewares.insert(0, note)  # type: ignore[arg-type]
    lane = make_lane(house.services, Pages((PROGRAMME,)), gate)
    proxies = Proxies(["127.0.0.1/32"])
    async with (
        serving(app, lane=lane, proxies=proxies) as gateway,
        nginx_before(gateway.port, tmp_path) as nginx,
    ):
        yield Pair(house, gate, gateway, nginx, seen)


async def test_the_way_of_an_applicant_leads_through_nginx_on_few_connections(pair: Pair) -> None:
    for number in range(50, 70):
        joined = await ask(pair.nginx, request(f"{WAVE}/tickets", "POST"))
        assert joined.status == 201
        for target in ("/", "/waves/wave-1", f"{WAVE}/board", f"{WAVE}/form"):
            assert (await ask(pair.nginx, request(target))).status == 200
        bearer = {"Authorization": f"Bearer {pair.house.ticket(number)}"}
        assert (await ask(pair.nginx, request(f"{WAVE}/place", headers=bearer))).status == 200
    assert len(pair.gateway.listener.connections) <= 2  # kept, and used again


async def test_the_samples_times_fit_the_gateways(pair: Pair) -> None:
    text, deadlines = (SAMPLE / "gateway.conf").read_text("utf-8"), Deadlines()
    upstream = text.partition("upstream gateway")[2].partition("}")[0]
    said = dict(re.findall(r"(keepalive_\w+) (\d+)s?;", upstream))
    assert int(said["keepalive_timeout"]) < deadlines.idle_s
    assert int(said["keepalive_requests"]) < deadlines.requests_max
    assert int(re.findall(r"proxy_read_timeout (\d+)s;", text)[0]) > deadlines.request_s


async def test_what_clients_say_of_themselves_ends_at_nginx(pair: Pair) -> None:
    forged = {
        "X-Forwarded-For": "192.0.2.1",
        "X-Forwarded-Proto": "https",
        "X-Forwarded-Host": "evil.example",
        "Forwarded": "for=192.0.2.1",
        "X_Forwarded_For": "192.0.2.1",
        "Connection": "Upgrade",
        "Upgrade": "websocket",
    }
    answer = await ask(pair.nginx, request("/seen", headers=forged))
    told = {name.lower(): value for name, value in answer.json.items()}
    assert told["x-forwarded-for"] == "127.0.0.1"
    assert told["x-forwarded-proto"] == "http"
    assert told["host"] == "localhost"
    assert not told.keys() & {"forwarded", "x-forwarded-host", "x_forwarded_for", "upgrade"}
    assert "strict-transport-security" not in answer.headers


async def test_a_refusal_of_the_gateway_goes_through_as_it_is(pair: Pair) -> None:
    pair.gate.limits = (0,) * len(Rank)
    for _ in range(3):
        answer = await ask(pair.nginx, request(f"{WAVE}/tickets", "POST"))
        assert (answer.status, answer.code) == (503, "overloaded")
        assert int(answer.headers["retry-after"]) == -(-answer.json["retry_in_ms"] // 1000)


async def test_when_all_gateways_are_down_nginx_says_so_itself(tmp_path: Path) -> None:
    retries: Counter[int] = Counter()
    async with nginx_before(free_port(), tmp_path) as nginx:  # nobody listens there
        for _ in range(200):
            answer = await ask(nginx, request("/waves/wave-1"))
            assert answer.status == 503
            assert answer.body == DOWN
            assert answer.headers["cache-control"] == "no-store"
            retries[int(answer.headers["retry-after"])] += 1
    assert min(retries) >= 20
    assert max(retries.values()) <= 80  # I-49: no second holds more than 40 %


JOIN = f"{WAVE}/tickets?x=1"  # behind the lane, so that it is seen
BOARD = request(f"{WAVE}/board?x=1", Connection="close")
SAME = {
    "one": (BOARD, 1),
    "two at once": (request(f"{WAVE}/board?x=1") + BOARD, 2),
    "a body": (
        request(JOIN, "POST", b"{}", Content_Type="application/json", Connection="close"),
        1,
    ),
    "chunks": (
        request(
            JOIN, "POST", Content_Type="application/json", Transfer_Encoding="chunked",
            Connection="close",
        )
        + b"2\r\n{}\r\n0\r\n\r\n",
        1,
    ),
    "a wrong method": (request(f"{WAVE}/board", "PUT", Connection="close"), 1),
    "a compressed body": (
        request(
            JOIN, "POST", b"x", Content_Type="application/json", Content_Encoding="gzip",
            Connection="close",
        ),
        1,
    ),
    "nowhere": (request("/nowhere", Connection="close"), 1),
}  # fmt: skip
REFUSED = {
    "length and chunks": request(
        "/x", "POST", b"2\r\n{}\r\n0\r\n\r\n", Transfer_Encoding="chunked"
    ),
    "two lengths": request("/x", "POST", b"abcd").replace(
        b"\r\n\r\n", b"\r\nContent-Length: 5\r\n\r\n"
    ),
    "a length with a sign": request("/x", "POST", Content_Length="+4") + b"abcd",
    "an unknown coding": request("/x", "POST", Transfer_Encoding="xchunked"),
    "a chunk of no size": request("/x", "POST", Transfer_Encoding="chunked") + b"zz\r\n\r\n",
    "no host": request("/x", Host=None),
    "two hosts": request("/x").replace(b"\r\n\r\n", b"\r\nHost: other\r\n\r\n"),
    "a nul": request("/x").replace(b"localhost", b"local\x00host"),
    "a long target": request("/" + "x" * 5_000),
    "a long field": request("/x", X_Long="x" * 5_000),
}


@pytest.mark.parametrize("name", SAME)
async def test_the_same_bytes_are_the_same_requests(pair: Pair, name: str) -> None:
    data, count = SAME[name]
    direct, through = await pair.both(data)
    assert direct == through, name
    assert direct[1] == count


@pytest.mark.parametrize("name", REFUSED)
async def test_what_is_refused_is_refused_by_both_and_reaches_nobody(pair: Pair, name: str) -> None:
    (direct, seen), (through, passed) = await pair.both(REFUSED[name], done=True)
    assert 400 <= direct < 500
    assert 400 <= through <= 501  # nginx calls an unknown coding 501
    assert (seen, passed) == (0, 0)


async def test_a_large_body_is_refused_by_both_at_once(pair: Pair) -> None:
    data = request(f"{WAVE}/tickets", "POST", Content_Length="1000000000", Content_Type=JSON)
    (direct, _), (through, passed) = await pair.both(data, done=True)
    assert (direct, through, passed) == (413, 413, 0)
