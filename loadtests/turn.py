"""What does an applicant do once it is called? Claim, fill the form in, look after the receipt."""

from collections.abc import Generator, Mapping
from datetime import datetime
from hashlib import blake2b
from typing import Any, NamedTuple

from gateway.core.passes import EXTENSIONS_MAX
from loadtests.applicants import fill, spoil
from loadtests.browser import Browser, Outcome, Resting
from loadtests.steps import Answer, Step

RECEIPT_LOOK_S = 2.0  # as the page does: the receipt says no interval of its own
MARGIN_S = 12.0  # before a pass ends, it is extended: a swallowed answer costs up to 10 s


class Told(NamedTuple):
    """The first range of the wait that somebody was told; instants."""

    at_s: float
    low_s: float
    high_s: float


class Turn:
    """The turn of one applicant."""

    def __init__(self, browser: Browser, told: Told | None, *, was_away: bool) -> None:
        self._browser, self._person = browser, browser.person
        self._told, self._was_away = told, was_away
        self._called_s = browser.now_s  # when it saw that it may claim
        self._interruptions = browser.interruptions
        self._ends_s = 0.0  # its pass

    def serve(self) -> Resting:
        """Go from the claim to the recorded registration."""
        yield from self._claim()
        browser, person = self._browser, self._person
        form = yield from browser.ask("form", "GET", f"{browser.api}/form", 200)
        values = fill(form.document, person)
        if person.abandons:
            browser.end(Outcome.ABANDONED)
        yield from self._fill_in(person.form_s)
        if person.mistake_s:
            yield from self._submit(spoil(form.document, values, person), 422)
            yield from self._fill_in(person.mistake_s)
        receipt = yield from self._send(values)
        if person.sends_twice:
            yield from self._send(values)
        yield from self._see_recorded(receipt)

    def _claim(self) -> Resting:
        browser = self._browser
        while True:
            answer = yield from browser.ask("claim", "POST", f"{browser.api}/pass", 201, 200, 202)
            if answer.status != 202:
                break
            if answer.document["state"] in {"full", "closed"}:
                browser.end(Outcome(answer.document["state"]))
            yield from browser.rest(browser.jittered(answer.document["retry_in_ms"] / 1000))
        browser.pass_ = answer.document["pass"]
        self._ends_s = datetime.fromisoformat(answer.document["expires_at"]).timestamp()
        browser.tell("pass", **pass_facts(browser, answer), **self._turn_facts())

    def _turn_facts(self) -> Mapping[str, Any]:
        """Say when it was called, and what it had been told; who was away meanwhile is no witness."""
        if self._was_away or self._browser.interruptions > self._interruptions:
            return {}
        return {"called_s": self._called_s} | ({"told_s": self._told} if self._told else {})

    def _fill_in(self, seconds: float) -> Resting:
        """Type for so long, and extend the pass where it would end before the form is sent."""
        browser = self._browser
        done_s, left = browser.now_s + seconds, EXTENSIONS_MAX
        while done_s + MARGIN_S > self._ends_s:
            yield from browser.rest(self._ends_s - MARGIN_S - browser.now_s)
            path = f"{browser.api}/pass/extension?extensions_left={left}"
            answer = yield from browser.ask("extend", "POST", path, 200, 409, 410)
            self._see_end("extend", answer)
            if answer.status == 409:  # twice already: now it has to be quick
                break
            left -= 1
            self._ends_s = datetime.fromisoformat(answer.document["expires_at"]).timestamp()
        yield from browser.rest(done_s - browser.now_s)

    def _send(self, values: Mapping[str, str]) -> Generator[Step, Answer, str]:
        answer = yield from self._submit(values, 201)
        receipt = str(answer.document["receipt"])
        self._browser.tell("receipt", receipt=receipt, form=values)
        return receipt

    def _submit(self, values: Mapping[str, str], expected: int) -> Generator[Step, Answer, Answer]:
        browser = self._browser
        path = f"{browser.api}/registrations"
        answer = yield from browser.ask("submit", "POST", path, expected, 410, form=values)
        self._see_end("submit", answer)
        return answer

    def _see_end(self, name: str, answer: Answer) -> None:
        """End where the pass has ended; nobody may be told so before the time it was told."""
        if answer.status != 410:
            return
        if answer.answered_s < self._ends_s:
            self._browser.fail(name, answer, "the pass ended too early")
        self._browser.end(Outcome.LATE)

    def _see_recorded(self, receipt: str) -> Resting:
        browser, path = self._browser, f"/v1/registrations/{receipt}"
        while True:
            answer = yield from browser.ask("receipt", "GET", path, 200)
            state = answer.document["state"]
            if state == "recorded":
                return
            if state != "received":
                browser.fail("receipt", answer, f"state {state}")
            yield from browser.rest(browser.jittered(RECEIPT_LOOK_S))


def pass_facts(browser: Browser, answer: Answer) -> Mapping[str, Any]:
    """Say what is known of a pass from its holder's side."""
    return {
        "number": browser.number,
        "pass": blake2b(answer.document["pass"].encode(), digest_size=8).hexdigest(),
        "first": answer.status == 201,  # else it was issued by a request whose answer was lost
        "expires_at": answer.document["expires_at"],
        "asked_s": answer.first_asked_s or answer.asked_s,
        "answered_s": answer.answered_s,
    }
