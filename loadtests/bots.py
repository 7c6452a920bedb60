"""What does a bot do next? It takes several tickets, asks four times a second, and waits for nothing.

It ignores ``Retry-After``, forges tickets, claims at once, and registers its one NIK with every pass it
gets. Nothing that it is answered may be of use to it, other than one registration.
"""

from collections.abc import Mapping
from itertools import count
from typing import Any, NamedTuple

from loadtests.applicants import fill
from loadtests.browser import Browser, Outcome
from loadtests.steps import Answer, Way
from loadtests.turn import pass_facts

TAKEN = (200, 201, 202, 304, 401, 403, 409, 410, 422, 429, 503)  # whatever a stranger may be told


class Held(NamedTuple):
    """One of its tickets."""

    text: str
    number: int
    variant: int  # of what it writes into the form


class Bot(Browser):
    """One person's programme."""

    def live(self) -> Way:
        """Ask until there is nothing left to get."""
        ways = self.person.ways
        held: list[Held] = []
        taken = 0
        yield from self.try_once("page", "GET", self.page, *TAKEN)
        for turn in count():
            yield from self.rest(ways.hammer_s)
            if taken < ways.tickets:
                answer = yield from self._join(held, taken)
                taken += answer.status == 201
            elif not held:
                break
            else:
                answer = yield from self._look(held, turn)
            if is_over(answer):
                break
        self.tell("end", outcome=Outcome.BOT, habit=self.person.habit)
        return Outcome.BOT

    def _join(self, held: list[Held], taken: int) -> Any:
        self.ticket = self.pass_ = ""
        answer = yield from self.try_once("join", "POST", f"{self.api}/tickets", *TAKEN)
        if answer.status == 201:
            got = Held(answer.document["ticket"], answer.document["number"], taken // 2)
            held.append(got)
            instants = {"asked_s": answer.asked_s, "answered_s": answer.answered_s}
            self.tell("join", number=got.number, **instants)
        return answer

    def _look(self, held: list[Held], turn: int) -> Any:
        """Look at one of its places, now and then with a ticket that it has made up."""
        mine = held[turn % len(held)]
        forged = self.dice.random() < self.person.ways.forged
        self.number, self.pass_ = mine.number, ""
        self.ticket = f"{mine.text[:-6]}{mine.text[-6:][::-1]}" if forged else mine.text
        answer = yield from self.try_once("place", "GET", f"{self.api}/place", *TAKEN)
        state = answer.document.get("state")
        if forged:
            if answer.status == 200 and self.ticket != mine.text:
                self.note_surprise("place", answer, "a forged ticket was honoured")
        elif state in {"called", "admitted"}:
            done = yield from self._serve(mine)
            if done:
                held.remove(mine)
        elif state in {"registered", "left", "missed"}:
            held.remove(mine)
        return answer

    def _serve(self, mine: Held) -> Any:
        """Claim and register; say whether the ticket has served its purpose."""
        answer = yield from self.try_once("claim", "POST", f"{self.api}/pass", *TAKEN)
        if answer.status not in {200, 201}:
            return answer.status == 410
        self.pass_ = answer.document["pass"]
        self.tell("pass", **pass_facts(self, answer))
        form = yield from self.try_once("form", "GET", f"{self.api}/form", *TAKEN)
        if form.status != 200:
            return False
        values = varied(form.document, fill(form.document, self.person), mine.variant)
        path = f"{self.api}/registrations"
        answer = yield from self.try_once("submit", "POST", path, *TAKEN, form=values)
        if answer.status == 201:
            self.tell("receipt", receipt=answer.document["receipt"], form=values)
        return answer.status in {201, 409, 410}


def varied(schema: Mapping[str, Any], values: Mapping[str, str], variant: int) -> Mapping[str, str]:
    """Return other words for the same person."""
    texts = [name for name, each in schema["properties"].items() if each["x-kind"] == "text"]
    if not variant or not texts:
        return values
    return {
        **values,
        texts[0]: f"Other {values[texts[0]]}"[: schema["properties"][texts[0]]["maxLength"]],
    }


def is_over(answer: Answer) -> bool:
    """Say whether there is nothing left to get."""
    if answer.document.get("state") in {"full", "closed"}:
        return True
    return str(answer.document.get("type", "")).endswith(("wave-full", "wave-closed"))
