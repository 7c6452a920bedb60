"""What does an applicant do next? Its way to the front as a generator of steps: no IO, no clock.

It does what a person and ``applicant.js`` do together: it loads the page, asks when the page is told to
(its place when near, the board when far), reloads if that is its habit, and gives up when its patience
ends. ``browser`` asks for it; behind its turn ``turn`` goes on; ``bots`` obey nobody.
"""

import math
from collections.abc import Generator, Mapping
from typing import Any

from gateway.core.draw import Draw
from gateway.simulation import arrivals
from loadtests.browser import Asking, Browser, Outcome, OverError, Resting
from loadtests.looks import Look, Looking, far_poll_s, instants, seconds_between
from loadtests.steps import Answer, Step, Way
from loadtests.turn import Told, Turn

FAR_S = 15.0  # told to wait longer than this, the page does with the board
WAITING = frozenset({"prequeue", "waiting", "paused", "recovering"})
OVER = frozenset({"full", "closed"})
NOT_YET_S = 2.0  # the page's, when it could not join
OTHER_DEVICE_S = 5.0  # after which the second one is taken in hand


class Household:
    """What the devices of one person know of each other."""

    def __init__(self) -> None:
        self.is_served = False


class Applicant(Browser):
    """One device on its way through one wave."""

    def __init__(self, *args: Any, household: Household, compression: float, **more: Any) -> None:
        super().__init__(*args, **more)
        self._household, self._compression = household, compression
        self._since_s = math.inf  # when waiting began: at the opening for those who came before
        self._reload_at_s = math.inf
        self._away_after_s = self.person.away_after_s
        self._was_away = self._apart = False  # apart: its first long wait has been spread widely
        self._opens_at = ""
        self._drawn: int | None = None  # its position, once it is known
        self._knows_position = False  # from its own place
        self._told: Told | None = None  # the first range it was told
        self._patience = 1.0
        # Impatient people are told to come less often; that is an answer to them like any other.
        self._refusals = () if self.person.obeys else (429,)

    def live(self) -> Way:
        """Go the whole way; the end is noted, whatever it is."""
        try:
            yield from self._come()
            yield from self._wait_for_turn()
            yield from Turn(self, self._told, was_away=self._was_away).serve()
            outcome = Outcome.RECORDED
        except OverError as over:
            outcome = over.outcome
        self.tell("end", outcome=outcome, habit=self.person.habit)
        return outcome

    # --- to the front ----------------------------------------------------------------------------------

    def _come(self) -> Resting:
        """Load the pages until there are tickets, and take one."""
        while not self.ticket:
            yield from self.ask("home", "GET", "/", 200, 304)
            yield from self.ask("page", "GET", self.page, 200, 304)
            yield from self.ask("place", "GET", f"{self.api}/place", 401)
            board = (yield from self._board()).document
            if board["phase"] in OVER:
                yield from self._turn_away(board["phase"])
            elif board["phase"] in {"prequeue", "open"}:
                yield from self._join()
            else:
                yield from self.rest(self._refresh_s(board))

    def _refresh_s(self, board: Mapping[str, Any]) -> float:
        """Return when to load the page anew: impatience grows as the opening comes nearer."""
        if board["phase"] != "scheduled":
            return self.jittered(board["poll_s"])
        if self.person.ways.reloads_s:
            return self._reload_s()
        far_s = seconds_between(board["at"], board["opens_at"]) * self._compression
        often_s = next((each for far, each in arrivals.REFRESHES_S if far_s >= far), NOT_YET_S)
        return self.jittered(often_s / self._compression)

    def _join(self) -> Resting:
        """Take a ticket; whoever finds the wave not open goes on looking."""
        answer = yield from self.ask("join", "POST", f"{self.api}/tickets", 201, 409)
        if answer.status == 409:
            yield from self.rest(self.jittered(NOT_YET_S))
            return
        self.ticket, self.number = answer.document["ticket"], answer.document["number"]
        self._drawn, self._knows_position = None, False
        self.tell("join", number=self.number, **instants(answer))

    def _wait_for_turn(self) -> Resting:
        self._reload_at_s = self.now_s + self._reload_s()
        look = yield from self._look_at_place()
        while look.state != "called":
            reloads = yield from self._rest(look.wait_s)
            if reloads:
                look = yield from self._reload()
            elif look.far:
                look = yield from self._look_at_board()
            else:
                look = yield from self._look_at_place()
        if self._household.is_served:
            self.end(Outcome.ELSEWHERE)
        self._household.is_served = True

    def _rest(self, wait_s: float) -> Generator[Step, Answer, bool]:
        """Wait for the page's next look or the next reload; say whether it is the latter."""
        yield from self.rest(min(wait_s, self._reload_at_s - self.now_s))
        waited_s = self.now_s - self._since_s
        if self._household.is_served:
            self.end(Outcome.ELSEWHERE)
        if waited_s > self.person.patience_s * self._patience:
            yield from self._leave()
        if waited_s > self._away_after_s:
            self._away_after_s, self._was_away = math.inf, True
            yield from self.rest(self.person.away_s)
        return self.now_s >= self._reload_at_s

    def _reload_s(self) -> float:
        ways = self.person.ways
        if ways.reloads_s is None:
            return math.inf
        rests = self.dice.random() < ways.rests
        return self.dice.uniform(*(arrivals.RESTS_S if rests else ways.reloads_s))

    def _reload(self) -> Looking:
        """Load the page anew; its script asks for the place, and then begins as always."""
        self._reload_at_s = self.now_s + self._reload_s()
        self._apart = False
        yield from self.ask("page", "GET", self.page, 200, 304)
        answer = yield from self.ask("place", "GET", f"{self.api}/place", 200, *self._refusals)
        if answer.status == 200:
            return (yield from self._look_at_place())
        # Refused, the script takes it for somebody without a ticket, and shows the board.
        board = (yield from self._board()).document
        if board["phase"] in OVER:
            yield from self._turn_away(board["phase"])
        return Look("waiting", self.jittered(board["poll_s"]))

    def _leave(self) -> Resting:
        if not self.person.leaves_silently:
            yield from self.ask("leave", "DELETE", f"{self.api}/place", 204)
        self.end(Outcome.LEFT)

    def _turn_away(self, state: str) -> Resting:
        for _ in range(2 if self.person.looks_again else 0):
            wait_s = self.dice.uniform(*arrivals.LOOKS_AGAIN_S)
            yield from self.rest(wait_s / self._compression)
            yield from self.ask("page", "GET", self.page, 200, 304)
            yield from self._board()
        self.end(Outcome(state))

    # --- looking ---------------------------------------------------------------------------------------

    def _look_at_place(self) -> Looking:
        path = f"{self.api}/place"
        answer = yield from self.ask("place", "GET", path, 200, *self._refusals)
        if answer.status == 429:
            return Look("waiting", self.at_least(answer.retry_s or NOT_YET_S))
        place = answer.document
        state, poll_s = place["state"], place["poll_s"]
        if state in OVER:
            yield from self._turn_away(state)
        if state == "missed" and self._was_away:
            self.ticket = ""
            yield from self._come()
            return Look("waiting", 0.0)
        if state not in WAITING and state != "called":
            self.fail("place", answer, f"state {state}")
        if place["position"] is not None:
            self._know_position(place, answer)
        if state == "prequeue":
            far = poll_s > seconds_between(place["at"], self._opens_at)
            return Look(state, poll_s if far else self.jittered(poll_s), far)
        self._hear(answer, place["eta_s"], place["outlook"])
        far = state == "waiting" and poll_s > FAR_S
        return Look(state, self._far_wait_s(poll_s) if far else self.jittered(poll_s), far)

    def _look_at_board(self) -> Looking:
        """See from the board alone how far it is; go to the place when it is near."""
        answer = yield from self._board()
        board = answer.document
        if board["phase"] != "open" or not board["draw"]["seed"]:
            return (yield from self._look_at_place())
        position = self._position(board)
        if position < board["near"]:
            return (yield from self._look_at_place())
        ahead, per_s = max(0, position - board["called"]), board["advance_per_s"]
        eta_s = (ahead / per_s * 0.85, ahead / per_s * 1.25) if per_s else None
        self._hear(answer, eta_s, "likely" if ahead < board["places_left"] else "unlikely")
        return Look("waiting", self._far_wait_s(far_poll_s(position, board)), far=True)

    def _board(self) -> Asking:
        answer = yield from self.ask("board", "GET", f"{self.api}/board", 200)
        self._opens_at = answer.document["opens_at"]
        return answer

    def _position(self, board: Mapping[str, Any]) -> int:
        if self._drawn is None:
            draw = Draw(bytes.fromhex(board["draw"]["seed"]), board["cohort"])
            self._drawn = draw.position(self.number)
        return self._drawn

    def _know_position(self, place: Mapping[str, Any], answer: Answer) -> None:
        """Hold what is told against what was told or computed before."""
        position = place["position"]
        if self._drawn not in {None, position}:
            self.fail("place", answer, f"position {position}, not {self._drawn}")
        if not self._knows_position:
            self._drawn, self._knows_position = position, True
            self.tell("position", number=self.number, position=position)

    def _hear(self, answer: Answer, eta_s: Any, outlook: str | None) -> None:
        """Take in what is told of the wait and of the places; who is told more waits longer."""
        if self._since_s == math.inf:
            self._since_s = self.now_s
        if eta_s and self._told is None:
            now_s = answer.answered_s
            self._told = Told(now_s, now_s + eta_s[0], now_s + eta_s[1])
        told = arrivals.PATIENCE_IF_TOLD if self._told else 1.0
        self._patience = arrivals.PATIENCE_IF_UNLIKELY if outlook == "unlikely" else told

    def _far_wait_s(self, poll_s: float) -> float:
        """Spread a long wait: a crowd that came together must not come back together."""
        spread, self._apart = None if self._apart else 1.0, True
        return self.jittered(poll_s, spread)
