"""One life of a room that comes by every rare state: the sound pass it, and every seeded bug fails it.

Positions are spoken of, numbers are looked up: at the opening the cohort is drawn. ``see`` is where a
room must have got to, so that the tour cannot lose its way and prove nothing.
"""

from datetime import UTC, datetime
from typing import Any

from gateway.core.policy import Policy
from gateway.core.snapshot import Phase
from tests.core.room_machine import DAY_US, HOUR_US, RoomMachine
from tests.core.room_model import SECOND_US, TOKEN

POLICY = Policy(
    rate_per_s=3.0, burst=3, form_cap=3, quota=8, pass_ttl_s=10, check_in_s=2, intake_cap=20
)


class Guided:
    """A machine whose invariants are checked after every step that is asked of it.

    With a ``lenient`` guide the tour goes on whatever is broken, to its end.
    """

    def __init__(self, machine: RoomMachine, *, lenient: bool = False) -> None:
        self._machine, self._lenient = machine, lenient

    def __getattr__(self, rule: str) -> Any:
        member = getattr(self._machine, rule)
        if not callable(member) or rule in {"number", "position"}:
            return member

        def step(*args: Any, **kwargs: Any) -> None:
            member(*args, **kwargs)
            if self._lenient:
                self.model.compare(self.room)
                return
            self._machine.promises_hold()
            self._machine.same_state()

        return step

    def see(self, holds: object) -> None:
        """Fail where the tour does not stand where it should."""
        assert holds or self._lenient, f"the tour lost its way after {self.model.history[-3:]}"

    def instant(self, seconds: int) -> str:
        """Return an instant so long from now, as a policy says it."""
        return datetime.fromtimestamp(self.now_us / SECOND_US + seconds, UTC).isoformat()

    def outstanding(self) -> set[int]:
        """Return the positions whose holders have a pass."""
        return {self.position(number) for number in self.model.held}

    def apart(self, phase: Phase) -> None:
        """Have the server a day ahead of everybody for a while: what time does for good is left undone."""
        self.time_passes(DAY_US)
        for apart_us in (-DAY_US, DAY_US, -DAY_US + SECOND_US):
            self.tick([], apart_us=apart_us)
        self.claim_at(0)
        self.see(self.room.phase is phase and self.room.agreed_us < self.now_us)
        self.time_passes(-DAY_US)
        self.tick([], apart_us=4 * SECOND_US)
        self.see(self.room.phase is phase and self.room.agreed_us == self.now_us)

    def attend(self, seconds: int, positions: list[int]) -> None:
        """Have these visitors check in, second by second."""
        for _ in range(seconds):
            self.time_passes(SECOND_US)
            self.tick(positions)

    def accept_at(self, position: int, person: int, content: int = 0, off: int = 0) -> None:
        self.accept(self.number(position), person, content, off)

    def claim_at(self, *positions: int) -> None:
        self.claim([self.number(position) for position in positions])


PRESENT = [0, 2, 3, *range(5, 17)]  # 1 stays away at first, 4 has left, 17 waits in vain


def opening(go: Guided) -> None:
    """Scheduled, gathering, drawn; nobody is admitted before, nor at once."""
    go.make(POLICY, 1, 3, 600)
    for commitment in ("", "own", "another", "own"):
        go.tick([], commitment=commitment)
    go.apart(Phase.SCHEDULED)
    go.join(1)
    go.claim([0])
    go.see(not go.model.numbers)
    go.time_passes(SECOND_US)
    go.tick([], 3)
    go.join(7)
    go.claim([0])
    go.look([0])
    go.leave(1)
    go.leave(1)
    go.time_passes(1_900_000)
    go.tick([0, 1, 2])
    go.join(1)  # between the last tick and the opening: still of the cohort
    go.time_passes(300_000)
    go.tick([])
    go.see(go.room.phase is Phase.OPEN and go.room.cohort == 8 and go.number(4) == 1)
    go.join(10)
    go.claim_at(0)
    go.time_passes(200_000)
    go.tick([0])
    go.claim_at(0)  # called, and the bucket has just begun to fill
    go.see(go.room.called == 1 and not go.model.held)


def order(go: Guided) -> None:
    """Absentees are passed over once ripe; a batch is served from the front, up to the form cap."""
    go.is_shown(17)
    go.attend(1, PRESENT)
    go.claim_at(3)
    go.see(go.room.called == 1 and not go.model.held)
    go.attend(2, PRESENT)
    go.see(go.room.called == 8)
    go.the_cut_off_process_catches_up()
    go.is_shown(17)
    go.claim_at(7, 5, 3, 2, 0, 11)
    go.see(go.outstanding() == {0, 2, 3})
    go.attend(1, PRESENT)
    go.claim_at(0, 5, 6)
    go.see(go.outstanding() == {0, 2, 3} and go.room.level == 3 * TOKEN)
    go.is_shown(17)


def clocks(go: Guided) -> None:
    """An hour back, a minute forward: a second at most is counted, and nothing stands still."""
    go.change(rate_per_s=1.0, paused=True)
    go.change(paused=False)
    go.time_passes(-HOUR_US)
    go.tick([], 2)
    go.see(go.room.level == 0)
    go.time_passes(500_000)
    go.tick([], 3)
    go.see(go.room.level == TOKEN // 2)
    go.time_passes(61 * SECOND_US)
    go.tick([], 2)
    go.time_passes(-61 * SECOND_US)
    go.tick([])
    go.see(go.room.level == TOKEN * 3 // 2)
    go.time_passes(HOUR_US)
    go.tick([])
    go.change(rate_per_s=3.0)


def registrations(go: Guided) -> None:
    """One per pass and person, three persons a pass; a full backlog stops the passes' clock."""
    go.accept_at(0, person=0)
    go.accept_at(0, person=0)
    go.accept_at(0, person=0, content=1)
    go.accept_at(0, person=0, off=1)
    go.accept_at(2, person=0, content=1)
    go.accept_at(3, person=0)  # another pass, the same registration
    go.see(go.model.accepted == 1 and go.outstanding() == {2})
    go.change(intake_cap=1)
    for person in (1, 2, 3, 1):
        go.accept_at(2, person)
    go.attend(12, PRESENT)
    go.claim_at(5)
    go.see(go.outstanding() == {2})
    go.settle("recorded")
    go.change(intake_cap=20)
    for off, lost in ((0, 0), (0, 1), (0, 0), (0, 1), (0, 0), (1, 0)):
        go.extend(go.number(2), off, lost)
    go.extend(go.number(11))


def leaving(go: Guided) -> None:
    """A place that is left goes on; an absentee who comes late claims at once. Nobody new comes in meanwhile."""
    go.change(joins_paused=True)
    issued = go.room.issued
    go.join(2)
    go.see(go.room.issued == issued)
    go.attend(2, PRESENT)
    go.claim_at(5, 6)
    go.see(go.outstanding() == {2, 5, 6})
    go.leave(go.number(5))
    go.leave(go.number(5))
    go.claim_at(5)
    go.look([go.number(5), go.number(6), go.number(0), go.number(7)])
    go.look([go.number(1)])
    go.claim_at(1)
    go.see(go.outstanding() == {1, 2, 6})
    go.change(joins_paused=False)


def pause(go: Guided) -> None:
    """Nothing is issued and nothing expires; passes are spent; the bucket starts empty."""
    go.change(paused=True)
    go.attend(12, PRESENT)
    go.claim_at(7)
    go.accept_at(1, person=1, off=1)  # with another pass of the same number
    go.accept_at(2, person=1)
    go.see(go.outstanding() == {1, 6})
    go.change(paused=False)
    go.claim_at(7)
    go.see(go.outstanding() == {1, 6})
    go.attend(1, PRESENT)
    go.claim_at(7)
    go.see(go.outstanding() == {1, 6, 7})


def expiry(go: Guided) -> None:
    """A pass that expires returns its holder to the front once."""
    for _ in range(2):
        go.attend(11, PRESENT)
        go.see(not go.model.held)
        go.look([go.number(1)])
        go.claim_at(1)
    go.see(not go.model.held)
    go.leave(go.number(1))


def quota(go: Guided) -> None:
    """Passes out are places taken; a quota set lower takes nothing back, one set higher reopens."""
    go.change(quota=4)
    go.attend(2, PRESENT)
    go.claim_at(6, 7, 8)
    go.see(go.outstanding() == {6, 7} and go.room.called > 8)
    go.change(quota=2)
    go.attend(1, PRESENT)
    go.claim_at(8)
    go.join(1)
    go.accept_at(6, person=2)
    go.see(go.room.phase is Phase.FULL and go.outstanding() == {7})
    go.change(quota=9)
    go.settle("rejected")
    go.tick([])
    go.see(go.room.phase is Phase.OPEN)


def rates(go: Guided) -> None:
    """A change of rate pays for no past."""
    go.change(rate_per_s=0.5, paused=True)
    go.change(paused=False)
    go.time_passes(900_000)
    go.change(rate_per_s=20.0)
    go.claim_at(8)
    go.see(go.outstanding() == {7})


def recovery(go: Guided) -> None:
    """Numbers are jumped, called stays, endings are remembered, passes are claimed again."""
    go.recover()
    go.is_shown(17)
    go.join(2)
    go.see(0 in go.model.numbers and max(go.model.numbers) > 200)
    go.change(form_cap=6)
    go.attend(1, PRESENT)
    go.claim_at(1, 5, 6, 7, 8, 9, 10)
    go.see(go.outstanding() == {7, 8, 9})  # the burst, however long it filled
    go.change(rate_per_s=3.0)
    go.claim_at(10, 11, 12, 13, 14)
    go.attend(1, PRESENT)
    go.claim_at(15, 16)  # not the whole burst is kept for those in front, but the last token is
    go.see(go.outstanding() == {7, 8, 9, 15, 16} and go.room.level == TOKEN)
    go.is_shown(17)


def closing(go: Guided) -> None:
    """It closes when the policy says. Passes that are out then may still be spent, until they expire."""
    go.change(closes_at=go.instant(900))
    go.time_passes(700 * SECOND_US)
    go.tick([])
    go.see(go.room.phase is Phase.OPEN)  # later than the programme says
    go.apart(Phase.OPEN)
    go.change(closes_at=go.instant(0))
    go.tick([])
    go.claim_at(9)
    go.join(1)
    go.accept_at(7, person=3)
    go.see(go.room.phase is Phase.CLOSED and go.outstanding() == {8, 9, 15, 16})
    go.attend(11, [])
    go.accept_at(8, person=4)
    go.see(not go.model.held and go.model.accepted == 4)


STAGES = (
    opening, order, clocks, registrations, leaving, pause, expiry, quota, rates, recovery, closing,
)  # fmt: skip


def tour(machine: RoomMachine, *, lenient: bool = False) -> set[str]:
    """Lead a machine through it all; return the promises it broke."""
    go = Guided(machine, lenient=lenient)
    for stage in STAGES:
        stage(go)
    return {broken.split(":")[0] for broken in machine.model.broken}
