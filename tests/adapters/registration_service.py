"""A registration service as operators have one, behind HTTP, that fails as its script says.

It records in memory by the rules of every store, in batches and singly, and notes what it was sent.
"""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from enum import Enum, auto
from itertools import count
from typing import Any

import msgspec
from aiohttp import web

from gateway.ports import IntakeEntry, Recording, RowOutcome
from gateway.stores.http_contract import Batch, Row
from gateway.stores.memory import MemoryStore


class Act(Enum):
    """What is done with one call."""

    OK = auto()
    REFUSE = auto()  # rows whose receipt is in ``refused``, within the answer
    REFUSE_WHOLE = auto()  # 422 for any request with such a row
    FAIL_BEFORE = auto()  # 500, nothing done
    FAIL_AFTER = auto()  # 500, all done
    HANG = auto()  # nothing done, no answer
    HANG_AFTER = auto()  # all done, no answer
    SLOW = auto()
    FORGET = auto()  # says recorded, and records nothing
    HUGE = auto()  # all done, and an answer without end
    REDIRECT = auto()
    BUSY = auto()  # 429, come again in 7 s
    NONSENSE = auto()  # all done, and an answer that is none
    OTHERS = auto()  # all done, and an answer about other rows
    UNAUTHORISED = auto()


@dataclass(frozen=True)
class Call:
    """One request as it came."""

    method: str
    headers: dict[str, str]
    receipts: list[str]


@dataclass
class RegistrationService:
    """The service and its script."""

    script: list[Act] = field(default_factory=list)  # one per call; then all is well
    always: Act = Act.OK
    refused: set[str] = field(default_factory=set)
    reason: str = "under-age"
    calls: list[Call] = field(default_factory=list)
    rows: MemoryStore = field(default_factory=lambda: MemoryStore(count(1).__next__))
    released: asyncio.Event = field(default_factory=asyncio.Event)
    slow_s: float = 0.05
    url: str = ""
    busiest: int = 0  # calls at the same time
    _under_way: int = 0

    def application(self) -> web.Application:
        app = web.Application(client_max_size=1_048_576)
        app.router.add_post("/registrations", self._answer)
        app.router.add_get("/registrations", self._look)
        app.router.add_post("/elsewhere", self._answer)
        return app

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        act = self.script.pop(0) if self.script else self.always
        body = await request.read()
        entries, is_batch = _entries(body)
        receipts = [entry.receipt for entry in entries]
        self.calls.append(Call(request.method, dict(request.headers), receipts))
        if act is Act.SLOW:
            self._under_way += 1
            self.busiest = max(self.busiest, self._under_way)
            await asyncio.sleep(self.slow_s)
            self._under_way -= 1
        early = self._early(act, receipts)
        if early is not None:
            return early
        if act is Act.HANG:
            await self.released.wait()
            raise web.HTTPServiceUnavailable
        if act is Act.FORGET:
            outcomes = [RowOutcome(receipt, Recording.RECORDED) for receipt in receipts]
        else:
            outcomes = await self._record(entries, act)
        if act is Act.HANG_AFTER:
            await self.released.wait()
        if act is Act.FAIL_AFTER:
            raise web.HTTPInternalServerError(text="after the commit")
        if act is Act.HUGE:
            return await _endless(request)
        if act is Act.NONSENSE:
            return web.json_response({"recording": "perhaps", "outcomes": "all is well"})
        if act is Act.OTHERS:
            outcomes = [RowOutcome("R-other", Recording.RECORDED) for _ in receipts]
        response = _told(outcomes, is_batch=is_batch)
        response.set_cookie("session", "1")
        return response

    async def _look(self, request: web.Request) -> web.Response:
        act = self.script.pop(0) if self.script else self.always
        self.calls.append(Call(request.method, dict(request.headers), []))
        return self._early(act, []) or web.Response(status=405)

    def _early(self, act: Act, receipts: Sequence[str]) -> web.Response | None:
        if act is Act.REDIRECT:
            return web.Response(status=307, headers={"Location": "/elsewhere"})
        if act is Act.BUSY:
            return web.Response(status=429, headers={"Retry-After": "7"})
        if act is Act.FAIL_BEFORE:
            return web.Response(status=500)
        if act is Act.UNAUTHORISED:
            return web.Response(status=401)
        if act is Act.REFUSE_WHOLE and self.refused & set(receipts):
            return web.Response(status=422)
        return None

    async def _record(self, entries: Sequence[IntakeEntry], act: Act) -> list[RowOutcome]:
        refusing = self.refused if act is Act.REFUSE else set()
        return [
            RowOutcome(entry.receipt, Recording.REJECTED, self.reason)
            if entry.receipt in refusing
            else (await self.rows.put([entry]))[0]
            for entry in entries
        ]


def _entries(body: bytes) -> tuple[list[IntakeEntry], bool]:
    is_batch = "registrations" in json.loads(body)
    if is_batch:
        rows = msgspec.json.decode(body, type=Batch).registrations
    else:
        rows = [msgspec.json.decode(body, type=Row)]
    return [
        IntakeEntry(
            entry_id="",
            wave_id=row.wave,
            programme_id=row.programme,
            receipt=row.receipt,
            person=bytes.fromhex(row.person),
            payload=bytes(row.form),
            accepted_at_us=row.accepted_at_us,
        )
        for row in rows
    ], is_batch


def _told(outcomes: Sequence[RowOutcome], *, is_batch: bool) -> web.Response:
    documents: list[dict[str, Any]] = [
        {"receipt": o.receipt, "recording": o.recording}
        | ({"reason": o.reason} if o.reason else {})
        for o in outcomes
    ]
    if is_batch:
        return web.json_response({"outcomes": documents})
    if outcomes[0].recording is Recording.REJECTED:
        return web.json_response(documents[0])
    return web.Response(status=201 if outcomes[0].recording is Recording.RECORDED else 409)


async def _endless(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "application/json"})
    await response.prepare(request)
    for _ in range(1_000):
        await response.write(b'{"outcomes":[' + b" " * 65_536)
    return response


@asynccontextmanager
async def serving(
    service: RegistrationService, tls: ssl.SSLContext | None = None
) -> AsyncIterator[RegistrationService]:
    """Run it on a free port of loopback."""
    runner = web.AppRunner(service.application(), shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls)
    await site.start()
    port = runner.addresses[0][1]
    service.url = f"{'https' if tls else 'http'}://127.0.0.1:{port}/registrations"
    try:
        yield service
    finally:
        service.released.set()
        await runner.cleanup()
