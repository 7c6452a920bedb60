"""One listening address: who may connect, what is checked before routing, how it starts and ends.

aiohttp's own factory of connections drops all limits when one keyword is misspelt; this one raises.
"""

import asyncio
import os
import socket
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

from aiohttp import web
from aiohttp.http_parser import HttpRequestParser, HttpRequestParserPy

from gateway.web.body import AWAITING, Awaiting
from gateway.web.clients import Proxies
from gateway.web.crowd import CONNECTIONS_MAX, PER_ADDRESS_MAX, Crowd
from gateway.web.deadlines import Deadlines
from gateway.web.express import Connection
from gateway.web.lane import Lane
from gateway.web.problems import STYLE, Problem, ProblemStyle, answer_exception
from gateway.web.security import check_head, harden, without_expectation

BACKLOG_MAX = 1_024
ACCEPTED_MAX = 16  # connections in one turn of the loop: so many handles listen
LINGER_S_MAX, LINGER_LOOK_S = 2.0, 0.05  # for kept connections to ask once more


class UnfitRuntimeError(RuntimeError):
    """Python or aiohttp is built or started in a way that would break a promise."""


class Listener(web.Server):
    """Makes one ``Connection`` for each client, and stands before the application."""

    def __init__(
        self,
        served: web.Server,
        *,
        style: ProblemStyle,
        deadlines: Deadlines,
        crowd: Crowd,
        lane: Lane | None = None,
        proxies: Proxies = Proxies(),  # noqa: B008  trusts nobody
    ) -> None:
        super().__init__(self._answer, request_factory=served.request_factory)
        self._application = served.request_handler
        self.style = style
        self.deadlines = deadlines
        self.crowd = crowd
        self.proxies = proxies
        self.lane = lane  # None: every request goes to aiohttp
        self.draining = False
        self.refusals: Counter[str] = Counter()  # by problem code: what no handler has seen

    def __call__(self) -> Connection:
        return Connection(
            self,
            keepalive_timeout=self.deadlines.idle_s,
            lingering_time=self.deadlines.linger_s,
        )

    def pending(self, change: int) -> None:
        """Note how many more requests, or fewer, are in flight."""
        if self.lane is not None:
            self.lane.gate.pending += change
            self.lane.gate.handled += change < 0

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        """Check the head, let the application answer, and put on what every answer carries."""
        assert isinstance(request, web.Request)
        response: web.StreamResponse
        try:
            check_head(request)
            self._find_room(request)
            async with asyncio.timeout(self.deadlines.request_s):
                request = without_expectation(request)
                awaiting: Awaiting = partial(self._awaiting, request)
                request[AWAITING] = awaiting
                await self._hold_back(request)
                response = await self._application(request)
        except Exception as exception:  # noqa: BLE001  nothing may leave as aiohttp's own page
            response = answer_exception(request, exception, self.style)
            self.refusals[exception.code if isinstance(exception, Problem) else "internal"] += 1
        harden(request, response)
        connection = request.protocol
        assert isinstance(connection, Connection)
        connection.answered()
        if self.draining or connection.is_worn:
            response.force_close()
        return response

    def _find_room(self, request: web.BaseRequest) -> None:
        # Those whose bytes the lane could not judge; a body under way is worth no more than the rest.
        if self.lane is not None and self.lane.refuses(request.method, request.path):
            raise Problem("overloaded", close=request.body_exists)

    @contextmanager
    def _awaiting(self, request: web.BaseRequest) -> Iterator[None]:
        """Take no room while the client has yet to send; what has come must find room again."""
        lane = self.lane
        if lane is None:
            yield
            return
        lane.gate.pending -= 1
        try:
            yield
        finally:
            lane.gate.pending += 1
        self._find_room(request)

    async def _hold_back(self, request: web.Request) -> None:
        if self.lane is not None:
            await self.lane.hold_back(request)


class Runner(web.AppRunner):
    """aiohttp's runner of applications, with our listener."""

    def __init__(
        self,
        app: web.Application,
        deadlines: Deadlines,
        crowd: Crowd,
        lane: Lane | None,
        proxies: Proxies = Proxies(),  # noqa: B008  trusts nobody
    ) -> None:
        super().__init__(app, handle_signals=False)
        self._deadlines = deadlines
        self._crowd = crowd
        self._lane = lane
        self._proxies = proxies

    async def _make_server(self) -> Listener:
        served = await super()._make_server()
        return Listener(
            served,
            style=self.app.get(STYLE, ProblemStyle()),
            deadlines=self._deadlines,
            crowd=self._crowd,
            lane=self._lane,
            proxies=self._proxies,
        )


@dataclass(frozen=True, slots=True)
class Site:
    """An application that listens."""

    listener: Listener
    port: int
    _runner: Runner
    _listening: Sequence[asyncio.Server]

    async def close(self, drain_s: float) -> None:
        """Take no more connections, let what is under way finish within ``drain_s``, and end.

        Kept connections are answered once more, and told to close, before they are closed from here: a
        request that was on its way meanwhile would find nobody.
        """
        self.listener.draining = True
        self.listener.lane = None
        _close(self._listening)
        await asyncio.sleep(0)  # what has just been accepted begins
        for _ in range(round(min(LINGER_S_MAX, drain_s / 2) / LINGER_LOOK_S)):
            if not self.listener.connections:
                break
            await asyncio.sleep(LINGER_LOOK_S)
        self.listener.pre_shutdown()
        await self.listener.shutdown(drain_s)
        await self._runner.cleanup()


async def start_site(
    app: web.Application,
    host: str,
    port: int,
    *,
    reuse_port: bool = True,  # several processes share the address
    deadlines: Deadlines = Deadlines(),  # noqa: B008  immutable
    connections_max: int = CONNECTIONS_MAX,
    per_address_max: int = PER_ADDRESS_MAX,
    lane: Lane | None = None,
    proxies: Proxies = Proxies(),  # noqa: B008  trusts nobody
    descriptor: int = -1,  # of a socket that listens there already: it outlives this process
) -> Site:
    """Serve an application; port 0 takes any free one.

    The loop takes one connection from a listening socket in each of its turns, however many wait (libuv,
    pull request 3696); the longer its turns, the longer a crowd would stand before the door. So the same
    socket is listened on by several handles.

    Raises:
        UnfitRuntimeError: this Python must not face applicants.
        OSError: the address is taken or not ours.

    """
    check_runtime()
    runner = Runner(app, deadlines, Crowd(connections_max, per_address_max), lane, proxies)
    listening: list[asyncio.Server] = []
    try:
        await runner.setup()
        assert isinstance(runner.server, Listener)
        create = partial(asyncio.get_running_loop().create_server, runner.server)
        if descriptor < 0:
            first = await create(host, port, backlog=BACKLOG_MAX, reuse_port=reuse_port)
        else:
            inherited = socket.socket(fileno=descriptor)
            inherited.setblocking(False)
            first = await create(sock=inherited, backlog=BACKLOG_MAX)
        listening.append(first)
        for number in [each.fileno() for each in first.sockets] * (ACCEPTED_MAX - 1):
            again = socket.socket(fileno=os.dup(number))
            listening.append(await create(sock=again, backlog=BACKLOG_MAX))
    except BaseException:
        _close(listening)
        await runner.cleanup()
        raise
    return Site(runner.server, first.sockets[0].getsockname()[1], runner, listening)


def _close(listening: Iterable[asyncio.Server]) -> None:
    for each in listening:
        each.close()


def check_runtime() -> None:
    """Refuse what would remove a safeguard in silence.

    Raises:
        UnfitRuntimeError: with the reason and its cure.

    """
    if sys.flags.optimize:
        raise UnfitRuntimeError("python -O removes checks: start without -O and PYTHONOPTIMIZE")
    if HttpRequestParser is HttpRequestParserPy:
        raise UnfitRuntimeError("aiohttp runs without its C parser: install its binary wheel")
