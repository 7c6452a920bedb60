"""One device of one person: what it holds, how it asks, and that it asks again. No IO, no clock.

Its methods are generators of steps; whoever drives them (a courier, a test) does the rest. It obeys: it
repeats after ``Retry-After`` and where no answer came. Now and then its network swallows an answer that was
sent: then it repeats a request whose effect it does not know. What the verdict needs is noted as it happens.
"""

from collections.abc import Callable, Generator, Mapping
from dataclasses import replace
from enum import StrEnum
from random import Random
from typing import Any, NoReturn

from gateway.simulation.arrivals import LOST, LOST_S
from loadtests.applicants import Person
from loadtests.steps import Answer, Ask, Step, Wait

SPREAD = 0.3  # of a wait, as the pages do: from 15 % less to 15 % more
REPEAT_S = 2.0  # after a request without an answer
REPEATS_MAX = 5

Note = Callable[[Mapping[str, Any]], None]
Asking = Generator[Step, Answer, Answer]
Resting = Generator[Step, Answer, None]


class Outcome(StrEnum):
    """How a way ended."""

    RECORDED = "recorded"
    ABANDONED = "abandoned"  # on the form
    LATE = "late"  # its pass had ended when it sent the form, as it had been told
    LEFT = "left"
    ELSEWHERE = "elsewhere"  # its person was served by another device
    FULL = "full"  # it was told so
    CLOSED = "closed"
    BOT = "bot"
    LOOKED = "looked"  # and came for nothing else
    FAILED = "failed"  # an answer that no honest applicant should get


class OverError(Exception):
    """The way ends here."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(outcome)
        self.outcome = outcome


class Browser:
    """What all ways have in common."""

    def __init__(
        self,
        person: Person,
        wave: str,
        note: Note,
        *,
        host_cookies: bool = False,
        jitter: bool = True,
    ) -> None:
        self.person = person
        self.page = f"/waves/{wave}"
        self.api = f"/v1/waves/{wave}"
        self.dice = Random(f"{person.seed}/{person.id}/waits")
        self.now_s = 0.0  # as of the last answer
        self.interruptions = 0  # answers that did not come, or said to come again later
        self.ticket, self.number, self.pass_ = "", -1, ""
        self._prefix = "__Host-" if host_cookies else ""
        self._wave, self._note = wave, note
        self._spread = SPREAD if jitter else 0.0
        self._etags: dict[str, str] = {}  # by path

    def ask(
        self,
        name: str,
        method: str,
        path: str,
        *expected: int,
        form: Mapping[str, str] | None = None,
    ) -> Asking:
        """Ask until there is a definite answer, and return it with the instant of the first try."""
        first_asked_s, silences = 0.0, 0
        while True:
            answer = yield from self.try_once(name, method, path, *expected, form=form)
            first_asked_s = first_asked_s or answer.asked_s
            is_lost = bool(answer.status) and self.dice.random() < LOST
            if answer.status in expected and not is_lost:
                return replace(answer, first_asked_s=first_asked_s)
            self.interruptions += 1
            if is_lost:
                yield from self.rest(self.dice.uniform(*LOST_S))
            elif answer.is_shed or answer.is_throttled:
                if answer.is_throttled and self.person.obeys:
                    self.note_surprise(name, answer, "throttled, though it did as told")
                yield from self.rest(self.at_least(answer.retry_s or 0.0))
            elif answer.status or silences == REPEATS_MAX:
                self.fail(name, answer, "unexpected answer")
            else:
                self.tell("silence", name=name)
                silences += 1
                yield from self.rest(self.at_least(REPEAT_S))

    def try_once(
        self,
        name: str,
        method: str,
        path: str,
        *expected: int,
        form: Mapping[str, str] | None = None,
    ) -> Asking:
        """Send one request; return whatever comes."""
        etag = self._etags.get(path, "")
        answer = yield Ask(name, method, path, expected, self._cookie(), form, etag)
        self.now_s = answer.answered_s
        if answer.etag:
            self._etags[path] = answer.etag
        return answer

    def rest(self, seconds: float) -> Resting:
        """Do nothing for a while."""
        answer = yield Wait(max(0.0, seconds))
        self.now_s = answer.answered_s

    def _cookie(self) -> str:
        held = {"ticket": self.ticket, "pass": self.pass_}
        return "; ".join(
            f"{self._prefix}{name}.{self._wave}={text}" for name, text in held.items() if text
        )

    def jittered(self, seconds: float, spread: float | None = None) -> float:
        """Return a wait as the page spreads it; ``spread`` is the width, as a share of the wait."""
        spread = self._spread if spread is None or not self._spread else spread
        return seconds * self.dice.uniform(1 - spread / 2, 1 + spread / 2)

    def at_least(self, seconds: float) -> float:
        """Return a wait that is never cut short."""
        return seconds * self.dice.uniform(1, 1 + SPREAD / 2)

    def tell(self, event: str, **facts: Any) -> None:
        """Note an event."""
        self._note({"event": event, "person": self.person.id, **facts})

    def note_surprise(self, name: str, answer: Answer, what: str) -> None:
        """Note an answer that this request must not get."""
        problem = str(answer.document.get("type", "")).rpartition("/")[2]
        what = f"{self.person.habit}: {what} {problem}".strip()
        self.tell("surprise", name=name, status=answer.status, what=what)

    def fail(self, name: str, answer: Answer, what: str) -> NoReturn:
        """Note it, and go no further."""
        self.note_surprise(name, answer, what)
        self.end(Outcome.FAILED)

    def end(self, outcome: Outcome) -> NoReturn:
        """End the way."""
        raise OverError(outcome)
