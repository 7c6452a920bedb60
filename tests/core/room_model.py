"""What a room owes, judged from what it answered: the model beside the state machine.

Two dicts, counters and a history. Nothing of the room's arithmetic is used. ``broken`` collects every
promise that did not hold in a step, by its id, so that a seeded bug is seen to break its own.
"""

from collections import Counter
from dataclasses import dataclass

from gateway.core.passes import Answer
from gateway.core.policy import Policy
from gateway.core.room import Room
from gateway.core.snapshot import Phase, Snapshot

SECOND_US = 1_000_000
TOKEN = 1_000_000_000  # a thousandth per second times a microsecond is one unit
ENDINGS = {"registered", "left", "missed"}


@dataclass(slots=True)
class Held:
    """An outstanding pass, as its holder knows it."""

    serial: int
    usable_us: int  # of the model's clocks, at the issue
    wave_us: int
    life_us: int
    tried: set[bytes]
    extensions: int = 0


class Model:
    """The promises of one room."""

    def __init__(self, policy: Policy, opens_at_us: int, closes_at_us: int, now_us: int) -> None:
        self.policy, self.last_us = policy, now_us
        self.opens_at_us, self.closes_at_us = opens_at_us, closes_at_us
        self.broken: list[str] = []
        self.history: list[str] = []
        self.held: dict[int, Held] = {}
        self.ended: dict[int, str] = {}
        self.spent: dict[int, tuple[int, str, bytes, bytes]] = {}
        self.people: dict[bytes, tuple[str, bytes]] = {}
        self.numbers: set[int] = set()
        self.serials: set[int] = set()
        self.expiries: Counter[int] = Counter()
        self.queued_us: list[int] = []  # when what waits for the store was accepted
        self.shown: dict[int, int] = {}  # number -> `ahead` it was last shown
        self.called = self.accepted = self.backlog = self.cohort = 0
        self.opened = self.closed = self.recovering = False
        self.issued = 0  # numbers given or jumped over
        self.uncounted = 0  # endings that a recovery did not know of
        self.usable_us = 0  # true time in which the room could accept; never less than its clock
        self.wave_us = 0  # the same in clamped steps, exactly
        self.furthest_us = self.agreed_us = 0
        self.commitment = ""  # the first that was told
        self.tokens, self.tokens_empty = policy.burst * TOKEN, 0  # I-16; I-21: empty at the start

    def expect(self, promise: str, holds: object, detail: object = "") -> None:
        """Note a promise that does not hold."""
        if not holds:
            self.broken.append(f"{promise}: {detail} after {self.history[-3:]}")

    @property
    def frozen(self) -> bool:
        return self.policy.paused or self.recovering or self.full(self.last_us)

    def full(self, now_us: int) -> bool:
        """Whether the intake takes no more, by count or by age."""
        late_us = now_us - self.policy.intake_age_s * SECOND_US
        late = bool(self.queued_us) and self.queued_us[0] < late_us
        return self.backlog >= self.policy.intake_cap or late

    def passed(self, true_us: int, jump_us: int) -> None:
        """Let time pass; a forward jump of the server's clock may count for one second."""
        counted_us = true_us + (SECOND_US if jump_us > 0 else 0)
        if not self.frozen:
            self.usable_us += counted_us
        if self.opened and not self.policy.paused:
            grown = self.policy.rate_milli_per_s * counted_us
            self.tokens += grown
            self.tokens_empty += grown
        self._cap()

    def _cap(self) -> None:
        most = self.policy.burst * TOKEN
        self.tokens, self.tokens_empty = min(self.tokens, most), min(self.tokens_empty, most)

    def stepped(self, now_us: int, room: Room, wall_us: int = 0) -> None:
        """Follow a step that the room has just made; a tick says what its caller's own clock shows."""
        elapsed_us, self.last_us = min(max(now_us - self.last_us, 0), SECOND_US), now_us
        self.furthest_us = max(now_us, self.furthest_us + elapsed_us)
        if not self.frozen:
            self.wave_us += elapsed_us
        self.expect("I-17", room.clock_us == self.wave_us, "wave clock")
        if abs(now_us - wall_us) <= 5 * SECOND_US:
            self.agreed_us = now_us
        if self.recovering:
            return
        # A clock that nobody confirms opens nothing and closes nothing.
        sure_us = now_us if abs(now_us - self.agreed_us) <= 5 * SECOND_US else self.agreed_us
        self.closed = self.closed or sure_us >= self.policy.closes_us(self.closes_at_us)
        is_closed = room.phase is Phase.CLOSED
        self.expect("F-19", is_closed == self.closed, "closed by a clock that nobody confirms")
        if not self.opened and not self.closed and sure_us >= self.opens_at_us:
            self.opened, self.cohort, self.tokens_empty = True, self.issued, 0
        self.expect("I-25", room.cohort == self.cohort, "cohort is not who joined before opening")

    def changed(self, policy: Policy) -> None:
        """Put another policy in force. A pause ends with an empty bucket."""
        if self.policy.paused or policy.paused:
            self.tokens_empty = 0
        self.policy = policy
        self._cap()

    def joined(self, answer: Answer) -> None:
        """Judge a new number."""
        if answer.word == "joined":
            self.expect("J-2", not self.policy.joins_paused, "a number while joins are paused")
            self.expect("I-23", answer.serial not in self.numbers, f"{answer.serial} given twice")
            self.numbers.add(answer.serial)
            self.issued += 1

    def ticked(self, room: Room, snapshot: Snapshot, commitment: str) -> None:
        """Judge what a tick did to ``called`` and to the passes."""
        self.expect("I-26", snapshot.called >= self.called, "called went back")
        self.called = max(self.called, snapshot.called)
        self.commitment = self.commitment or commitment
        self.expect("I-25", snapshot.commitment == self.commitment, "another commitment")
        self.expect("F-19", snapshot.furthest_us == self.furthest_us, "the clock if never set back")
        for number in sorted(self.held.keys() - room.passes.keys()):
            pass_ = self.held.pop(number)
            aged = room.clock_us - pass_.wave_us >= pass_.life_us
            usable = self.usable_us - pass_.usable_us >= pass_.life_us
            self.expect("I-13", aged, f"the pass of {number} was taken back")
            self.expect("I-14", usable or not aged, f"the pass of {number} expired early")
            self.expiries[number] += 1
            if self.expiries[number] == 2:
                self.ended[number] = "missed"
        for number, pass_ in self.held.items():
            due = self.opened and self.wave_us - pass_.wave_us >= pass_.life_us
            self.expect("I-12", not due, f"the pass of {number} outlives its expiry")

    def claimed(self, number: int, position: int, answer: Answer) -> None:
        """Judge the answer to a claim."""
        ending = self.ended.get(number)
        if ending or answer.word in ENDINGS:
            name = {"left": "I-32", "missed": "I-30"}.get(ending or answer.word, "I-12")
            self.expect(name, answer.word == ending, f"{number} {ending}, told {answer.word}")
        elif number in self.held:
            same = (answer.word, answer.serial) == ("held", self.held[number].serial)
            self.expect("I-12", same, "a second pass, or none")
        elif self.opened and (shut := self._shut()):
            self.expect("I-21", answer.word == shut, f"the room is {shut}, told {answer.word}")
        elif position < self.called and self.opened:
            may = answer.word in {"issued", "called"}
            self.expect("I-29", may, f"called {number} is told {answer.word}")
        if answer.word == "issued":
            self._issued(number, position, answer.serial)

    def _shut(self) -> str:
        """Return why nobody at all is admitted to a room that has opened, or nothing."""
        if self.closed:
            return "closed"
        if self.accepted >= self.policy.quota:
            return "full"
        return "paused" if self.policy.paused else ""

    def _issued(self, number: int, position: int, serial: int) -> None:
        may = self.opened and not self.closed and not self.policy.paused and not self.recovering
        self.expect("I-21", may, "a pass while none may be issued")
        self.expect("I-26", position < self.called, "a pass above called")
        self.expect("I-12", serial not in self.serials, "a serial twice")
        life_us = self.policy.pass_ttl_s * SECOND_US
        self.held[number] = Held(serial, self.usable_us, self.wave_us, life_us, set())
        self.serials.add(serial)
        self.expect("I-11", self.accepted + len(self.held) <= self.policy.quota, "above quota")
        self.expect("I-20", len(self.held) <= self.policy.form_cap, "above form cap")
        self.tokens -= TOKEN
        self.tokens_empty -= TOKEN
        self.expect("I-16", self.tokens >= 0, "more than burst and rate")
        self.expect("I-21", self.tokens_empty >= 0, "the bucket did not start empty")

    def batch(self, claims: list[tuple[int, int, Answer]]) -> None:
        """Judge the order within claims that came together."""
        words = [answer.word for _, _, answer in sorted(claims, key=lambda claim: claim[1])]
        if "called" in words:
            self.expect("I-22", "issued" not in words[words.index("called") :], "overtaken")

    def looked(self, number: int, answer: Answer) -> None:
        """Judge how a visitor is told to stand."""
        told = self.ended.get(number, "admitted" if number in self.held else "called")
        name = {"left": "I-32", "missed": "I-30"}.get(told, "I-12")
        self.expect(name, answer.word == told, f"{number} {told}, told {answer.word}")

    def left(self, number: int, answer: Answer) -> None:
        """Judge a leaving, and forget the pass."""
        before = self.ended.get(number, "left")
        self.expect("I-32", answer.word == before, f"{number} {before}, told {answer.word}")
        if number not in self.ended:
            self.held.pop(number, None)
            self.ended[number] = "left"

    def extended(self, number: int, serial: int, seen: int, answer: Answer) -> None:
        """Judge an extension: twice at most, of an outstanding pass only; a repeat lengthens nothing."""
        pass_ = self.held.get(number)
        if pass_ is None or pass_.serial != serial:
            wanted = "ended"
        elif pass_.extensions > seen:
            wanted = "extended"
        elif pass_.extensions == 2:
            wanted = "exhausted"
        else:
            wanted = "extended"
            pass_.extensions += 1
            pass_.life_us += self.policy.pass_ttl_s * SECOND_US
        self.expect("I-12", answer.word == wanted, f"extension {wanted}, told {answer.word}")

    def registered(
        self, number: int, serial: int, told: Answer, tried: tuple[str, bytes, bytes], now_us: int
    ) -> None:
        """Judge a registration: one per pass and person, the first answer again and again."""
        _, person, content = tried
        pass_ = self.held.get(number)
        wanted = self._registration(number, serial, tried, now_us)
        self.expect(wanted[0], (told.word, told.receipt) == wanted[1:], f"{told}, not {wanted}")
        if pass_ is None or pass_.serial != serial:
            return
        if wanted[1] not in {"pass-used", "too-many-persons"}:
            pass_.tried.add(person)
        if wanted[1] == "accepted":
            if person not in self.people:
                self.queued_us.append(now_us)
            self._spend(number, wanted[2], person, content)

    def _registration(
        self, number: int, serial: int, tried: tuple[str, bytes, bytes], now_us: int
    ) -> tuple[str, str, str]:
        """Return the promise that decides, the answer and its receipt."""
        receipt, person, content = tried
        spent, pass_, known = self.spent.get(number), self.held.get(number), self.people.get(person)
        if spent and spent[0] == serial:
            same = spent[2:] == (person, content)
            return ("I-10", "accepted", spent[1]) if same else ("I-10", "pass-used", "")
        if pass_ is None or pass_.serial != serial:
            return ("I-36" if pass_ else "I-12", "pass-ended", "")
        if person not in pass_.tried and len(pass_.tried) >= 3:
            return ("I-15", "too-many-persons", "")
        if known:
            same = known[1] == content
            return ("I-9", "accepted", known[0]) if same else ("I-9", "already-registered", "")
        full = self.full(now_us)
        return ("I-13", "backlog-full", "") if full else ("I-13", "accepted", receipt)

    def _spend(self, number: int, receipt: str, person: bytes, content: bytes) -> None:
        if person not in self.people:
            self.people[person] = receipt, content
            self.accepted += 1
            self.backlog += 1
        self.spent[number] = self.held.pop(number).serial, receipt, person, content
        self.ended[number] = "registered"

    def settled(self) -> None:
        """Note that an entry left the intake. What it stood in the way of may count one step back."""
        before = self.frozen
        self.backlog -= 1
        self.queued_us = self.queued_us[1:]
        if before and not self.frozen:
            self.usable_us += SECOND_US

    def showed(self, number: int, ahead: int) -> None:
        """Judge the number of people that a visitor is shown before it."""
        least = self.shown.get(number, ahead)
        self.expect("I-27", 0 <= ahead <= least, f"{number} saw {least}, then {ahead}")
        self.shown[number] = ahead

    def recovered(self, now_us: int, issued: int, ended: int) -> None:
        """Start anew without outstanding passes: their holders claim again."""
        self.issued = issued
        self.held.clear()
        self.tokens_empty, self.last_us = 0, now_us
        self.uncounted = self._gone() - ended  # ended since the last checkpoint

    def _gone(self) -> int:
        return sum(word != "registered" for word in self.ended.values())

    def compare(self, room: Room) -> None:
        """Judge the room as it stands, after every step."""
        taken = self.accepted + len(self.held)
        self.expect("I-13", room.accepted == self.accepted, "accepted changed by itself")
        self.expect("I-13", room.passes.keys() >= self.held.keys(), "a pass was taken back")
        self.expect("I-32", not room.passes.keys() & self.ended.keys(), "a pass beyond its end")
        self.expect("I-12", room.passes.keys() <= self.held.keys(), "a pass that nobody holds")
        self.expect("I-12", room.places_free == self.policy.quota - taken, "places do not add up")
        self.expect("I-23", room.issued > max(self.numbers, default=-1), "numbers may repeat")
        gone = self._gone() - self.uncounted
        self.expect("I-32", room.ended == gone, "leaving twice is two leavings")
