"""What does an applicant do next? Its whole way as a generator of steps: no IO, no clock.

``Applicant.live`` yields what to ask and how long to wait, and is sent each answer; whoever drives it
(Locust, a test) does the rest. The applicant obeys: it polls when told (the board while it is far, its
place when it is near), repeats after ``Retry-After``, and sends the same form again when the outcome is
unknown. What the verdict needs is noted as it happens.
"""

from collections.abc import Callable, Generator, Mapping
from dataclasses import replace
from enum import StrEnum
from itertools import count
from typing import Any, NoReturn

from loadtests.applicants import Person, fill, spoil
from loadtests.profiles import Habit
from loadtests.steps import Answer, Ask, Step, Wait

POLL_JITTER = 0.15  # as the pages do; what is told as a least wait is never cut short
FAR_S = 5.0  # told to wait longer than this, an applicant looks at the board first
RECEIPT_LOOK_S = 0.7  # the receipt says no interval of its own
REPEAT_S = 2.0  # after a request without an answer
REPEATS_MAX = 5
RELOADS = 3


class Outcome(StrEnum):
    """How an applicant's way ended."""

    RECORDED = "recorded"
    LEFT = "left"
    TURNED_AWAY = "turned-away"  # the wave was full or closed
    FAILED = "failed"  # an answer that no honest applicant should get


Way = Generator[Step, Answer, Outcome]
Note = Callable[[Mapping[str, Any]], None]


class _OverError(Exception):
    """The way ends here."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(outcome)
        self.outcome = outcome


class Applicant:
    """One person on its way through one wave."""

    def __init__(self, person: Person, wave: str, note: Note) -> None:
        self._person = person
        self._page = f"/waves/{wave}"
        self._api = f"/v1/waves/{wave}"
        self._dice = person.random("waits")
        self._note = note
        self._ticket = ""
        self._number = -1

    def live(self) -> Way:
        """Go the whole way; the end is noted, whatever it is."""
        try:
            joined = yield from self._arrive()
            yield self._poll_wait(joined)
            yield from self._wait_for_turn()
            yield from self._claim()
            yield from self._register()
            outcome = Outcome.RECORDED
        except _OverError as over:
            outcome = over.outcome
        self._tell("end", outcome=outcome)
        return outcome

    # --- to the front ----------------------------------------------------------------------------------

    def _arrive(self) -> Generator[Step, Answer, Answer]:
        yield from self._ask("page", "GET", self._page, 200, 304)
        yield from self._look_at_board()
        return (yield from self._join())

    def _join(self) -> Generator[Step, Answer, Answer]:
        """Join, or join again: that gives the same ticket."""
        expected = (200,) if self._ticket else (201, 409)
        answer = yield from self._ask("join", "POST", f"{self._api}/tickets", *expected)
        if answer.status == 409:
            self._end(Outcome.TURNED_AWAY)
        if self._ticket and answer.document["ticket"] != self._ticket:
            self._surprise("join", answer, "another ticket than before")
        self._ticket, self._number = answer.document["ticket"], answer.document["number"]
        return answer

    def _wait_for_turn(self) -> Generator[Step, Answer, None]:
        for look in count(1):
            answer = yield from self._ask("place", "GET", f"{self._api}/place", 200)
            place = answer.document
            if place["state"] in {"full", "closed"}:
                self._end(Outcome.TURNED_AWAY)
            if place["state"] not in {"prequeue", "waiting", "paused", "called"}:
                self._surprise("place", answer, f"state {place['state']}")
            is_called = place["state"] == "called"
            if self._person.habit is Habit.LEAVER and (is_called or look >= self._person.patience):
                yield from self._leave()
            if is_called:
                return
            yield self._poll_wait(answer)
            if self._person.habit is Habit.RELOADER and look <= RELOADS:
                yield from self._arrive()
            elif place["poll_s"] > FAR_S:
                yield from self._watch_board(place["position"])

    def _leave(self) -> Generator[Step, Answer, None]:
        if not self._person.leaves_silently:
            yield from self._ask("leave", "DELETE", f"{self._api}/place", 204)
        self._end(Outcome.LEFT)

    def _watch_board(self, position: int | None) -> Generator[Step, Answer, None]:
        """Look at the board alone for as long as it shows that the turn is not near."""
        while True:
            board = yield from self._look_at_board()
            if position is None or position < board.document["near"]:
                return
            yield Wait(self._jittered(far_poll_s(position, board.document)))

    def _look_at_board(self) -> Generator[Step, Answer, Answer]:
        return (yield from self._ask("board", "GET", f"{self._api}/board", 200))

    # --- inside ----------------------------------------------------------------------------------------

    def _claim(self) -> Generator[Step, Answer, None]:
        while True:
            answer = yield from self._ask("claim", "POST", f"{self._api}/pass", 201, 200, 202)
            if answer.status != 202:
                break
            if answer.document["state"] in {"full", "closed"}:
                self._end(Outcome.TURNED_AWAY)
            yield Wait(self._at_least(answer.document["retry_in_ms"] / 1000))
        self._tell(
            "pass",
            number=self._number,
            expires_at=answer.document["expires_at"],
            asked_s=answer.asked_s,
            answered_s=answer.answered_s,
        )

    def _register(self) -> Generator[Step, Answer, None]:
        schema = (yield from self._ask("form", "GET", f"{self._api}/form", 200)).document
        values = fill(schema, self._person)
        yield Wait(self._person.form_s)
        if self._person.habit is Habit.MISTAKEN:
            yield from self._submit(spoil(schema, values, self._person), 422)
            yield Wait(self._person.form_s / 2)
        receipt = yield from self._send(values)
        if self._person.habit is Habit.DOUBLE:
            yield from self._send(values)
        yield from self._see_recorded(receipt)

    def _send(self, values: Mapping[str, str]) -> Generator[Step, Answer, str]:
        answer = yield from self._submit(values, 201)
        receipt = str(answer.document["receipt"])
        self._tell("receipt", receipt=receipt, form=values)
        return receipt

    def _submit(self, values: Mapping[str, str], expected: int) -> Generator[Step, Answer, Answer]:
        path = f"{self._api}/registrations"
        return (yield from self._ask("submit", "POST", path, expected, form=values))

    def _see_recorded(self, receipt: str) -> Generator[Step, Answer, None]:
        while True:
            yield Wait(self._jittered(RECEIPT_LOOK_S))
            answer = yield from self._ask("receipt", "GET", f"/v1/registrations/{receipt}", 200)
            state = answer.document["state"]
            if state == "recorded":
                return
            if state != "received":
                self._surprise("receipt", answer, f"state {state}")

    # --- asking and waiting ----------------------------------------------------------------------------

    def _ask(
        self,
        name: str,
        method: str,
        path: str,
        *expected: int,
        form: Mapping[str, str] | None = None,
    ) -> Generator[Step, Answer, Answer]:
        """Ask until there is a definite answer, and return it with the instant of the first try."""
        first_asked_s: float | None = None
        repeats = 0
        while True:
            answer = yield Ask(name, method, path, expected, form)
            if first_asked_s is None:
                first_asked_s = answer.asked_s
            if answer.status in expected:
                return replace(answer, asked_s=first_asked_s)
            if answer.is_shed:
                yield Wait(self._at_least(answer.retry_s or 0.0))
                continue
            if answer.status or repeats == REPEATS_MAX:
                self._surprise(name, answer, "unexpected answer")
            self._tell("surprise", name=name, status=0, what="no answer; repeated")
            repeats += 1
            yield Wait(self._at_least(REPEAT_S))

    def _poll_wait(self, answer: Answer) -> Wait:
        return Wait(self._jittered(answer.document["poll_s"]))

    def _jittered(self, seconds: float) -> float:
        return seconds * self._dice.uniform(1 - POLL_JITTER, 1 + POLL_JITTER)

    def _at_least(self, seconds: float) -> float:
        return seconds * self._dice.uniform(1, 1 + POLL_JITTER)

    # --- telling ---------------------------------------------------------------------------------------

    def _tell(self, event: str, **facts: Any) -> None:
        self._note({"event": event, "person": self._person.id, **facts})

    def _surprise(self, name: str, answer: Answer, what: str) -> NoReturn:
        problem = str(answer.document.get("type", "")).rpartition("/")[2]
        what = f"{what} {problem}".strip()
        self._tell("surprise", name=name, status=answer.status, what=what)
        self._end(Outcome.FAILED)

    def _end(self, outcome: Outcome) -> NoReturn:
        raise _OverError(outcome)


def far_poll_s(position: int, board: Mapping[str, Any]) -> float:
    """Return when the page's script looks at the board again."""
    stretch = board["stretch"]
    far_s = (position - board["near"]) / board["approach_per_s"]
    return float(min(stretch * min(120.0, max(4.0, 0.5 * far_s)), 0.8 * far_s + 4.0))
