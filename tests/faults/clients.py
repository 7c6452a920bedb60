"""Applicants of a fault run: impatient, honest, and repeating whatever got no answer.

They press on faster than they are told, so that a run is short; everything they see goes into the history.
"""

import asyncio
import random
import time
from collections.abc import Mapping
from enum import StrEnum
from typing import Any

import aiohttp
import orjson

from tests.applicants import nik
from tests.faults.history import UNKNOWN, Event, History
from tests.faults.world import WAVE

PATIENCE_S = 2.5  # for one answer
POLL_S_MIN, POLL_S_MAX = 0.12, 0.4
REPEAT_S_MAX = 0.5
LATE_S = 0.3  # after its pass has expired
NOBODY = Event(-1, "", 0.0, 0.0, UNKNOWN, {})


class Habit(StrEnum):
    """What sets one applicant apart."""

    STEADY = "steady"
    DOUBLE = "double"  # sends the form twice at once, to different doors
    ABSENT = "absent"  # is away when it is called, and comes back
    LEAVER = "leaver"
    TWIN = "twin"  # writes the NIK of the one before it into its form
    LATE = "late"  # sends the form when its pass has just ended


SHARES = ((Habit.DOUBLE, 0.15), (Habit.ABSENT, 0.10), (Habit.LEAVER, 0.05), (Habit.TWIN, 0.07),
          (Habit.LATE, 0.07))  # fmt: skip


class Applicant:
    """One person, from joining to the receipt."""

    def __init__(
        self, person: int, history: History, session: aiohttp.ClientSession, urls: list[str]
    ) -> None:
        self._person, self._history = person, history
        self._session, self._urls = session, urls
        self._dice = random.Random(f"{history.schedule.seed}/{person}")
        self.habit = self._habit()
        self._ticket = ""
        self._pass = ""
        self._receipt = ""
        written = max(0, person - 1) if self.habit is Habit.TWIN else person
        self._form = {"name": f"Orang {person}", "nik": nik(written)}

    def _habit(self) -> Habit:
        draw = self._dice.random()
        for habit, share in SHARES:
            if draw < share:
                return habit
            draw -= share
        return Habit.STEADY

    async def live(self) -> None:
        """Go the whole way, and note how it ended."""
        self._history.ends[self._person] = "stuck"
        self._history.ends[self._person] = await self._way()

    async def _way(self) -> str:
        joined = await self._ask("join", "POST", "tickets")
        if joined.status == 409:
            return "turned away"
        if joined.status not in (200, 201):
            return f"unexpected: join {joined.status} {joined.code}"
        self._ticket = joined.document["ticket"]
        if self._dice.random() < 0.2:
            await self._ask("join", "POST", "tickets", bearer=self._ticket)
        if self.habit is Habit.ABSENT:
            await self._be_away(joined.document["number"])
        while True:
            ended = await self._reach_the_form() or await self._register()
            if ended:
                return ended

    async def _reach_the_form(self) -> str:
        """Wait for the turn and take the pass; say how the way ended, if it did."""
        while True:
            place = await self._ask("place", "GET", "place", bearer=self._ticket)
            state = place.document.get("state", place.code)
            if state in {"left", "missed", "registered", "full", "closed", "place-ended"}:
                return f"{state}"
            if self.habit is Habit.LEAVER and self._dice.random() < 0.3:
                await self._ask("leave", "DELETE", "place", bearer=self._ticket)
                return "left"
            if state in {"called", "admitted"}:
                claim = await self._ask("claim", "POST", "pass", bearer=self._ticket)
                if claim.status in (200, 201):
                    self._pass = claim.document["pass"]
                    return ""
                if claim.status == 410 or claim.document.get("state") == "full":
                    return claim.code or "full"
                if claim.status not in (202, 409):
                    return f"unexpected: claim {claim.status} {claim.code}"
            elif state not in {"prequeue", "waiting", "paused", "recovering"}:
                return f"unexpected: place {place.status} {state}"
            told_s = float(place.document.get("poll_s", 1.0)) / 5
            await asyncio.sleep(min(POLL_S_MAX, max(POLL_S_MIN, told_s)))

    async def _register(self) -> str:
        """Send the form; empty where the pass had ended and another is to be had."""
        if self.habit is Habit.LATE and self._history.schedule.terms.pass_ttl_s < 10:
            await asyncio.sleep(self._history.schedule.terms.pass_ttl_s + LATE_S)
            self.habit = Habit.STEADY
        await asyncio.sleep(self._dice.uniform(0.0, 0.3))
        times = 2 if self.habit is Habit.DOUBLE else 1
        answers = await asyncio.gather(*(self._send() for _ in range(times)))
        answer = min(answers, key=lambda event: event.status)
        if answer.status == 201:
            return await self._with_receipt(answer.document["receipt"])
        if answer.code == "pass-ended":
            self._history.reached["pass expired while its registration was under way"] += 1
            return ""
        if answer.code == "already-registered":
            # The place is reserved for it until it says that it will not come back.
            await self._ask("leave", "DELETE", "place", bearer=self._ticket)
            return "turned away"
        return f"unexpected: register {answer.status} {answer.code}"

    async def _with_receipt(self, receipt: str) -> str:
        for _ in range(self._dice.choice((0, 0, 1, 2))):
            again = await self._send()
            if again.status == 201:
                self._history.reached["repeated answer for a spent pass"] += 1
        await self._ask("receipt", "GET", f"/v1/registrations/{receipt}")
        return "registered"

    async def _be_away(self, number: int) -> None:
        """Stay away until others behind were called, and come back."""
        for _ in range(8):
            board = await self._ask("board", "GET", "board")
            if board.document.get("called", 0) > number + 2:
                self._history.reached["`called` moved past an absentee who came back"] += 1
                return
            await asyncio.sleep(POLL_S_MAX / 2)

    def _send(self) -> "asyncio.Future[Event]":
        asking = self._ask("register", "POST", "registrations", self._form, bearer=self._pass)
        return asyncio.ensure_future(asking)

    async def _ask(
        self,
        action: str,
        method: str,
        path: str,
        form: Mapping[str, str] | None = None,
        bearer: str = "",
    ) -> Event:
        """Ask one door or the other until there is a definite answer."""
        while True:
            event = await self._try(action, method, path, form, bearer)
            if event.status not in (UNKNOWN, 429) and event.status < 500:
                return event
            told_s = float(event.document.get("retry_in_ms", 200)) / 1000
            await asyncio.sleep(self._dice.uniform(0.05, min(told_s, REPEAT_S_MAX) + 0.05))

    async def _try(
        self,
        action: str,
        method: str,
        path: str,
        form: Mapping[str, str] | None,
        bearer: str,
    ) -> Event:
        base = self._dice.choice(self._urls)
        url = base + (path if path.startswith("/") else f"/v1/waves/{WAVE}/{path}")
        headers = {"Authorization": f"Bearer {bearer}"} if bearer else {}
        if form is not None:
            headers["Content-Type"] = "application/json"
        body = None if form is None else orjson.dumps(form)
        sent_s = time.monotonic()
        try:
            async with self._session.request(
                method, url, data=body, headers=headers, skip_auto_headers=("Content-Type",)
            ) as answer:
                text = await answer.read()
                document = _document(text)
                status = answer.status
        except (aiohttp.ClientError, TimeoutError, OSError):
            status, document = UNKNOWN, {}
        event = Event(self._person, action, sent_s, time.monotonic(), status, document, form)
        self._history.events.append(event)
        return event


def _document(text: bytes) -> dict[str, Any]:
    document = orjson.loads(text) if text else {}
    assert isinstance(document, dict)
    return document
