"""A room's random life: rules that lead the pure core, and a model that judges every answer.

The same rules lead the scripts of ``tests/contract/twins.py``: ``mirror`` is where a twin is compared.
"""

from dataclasses import replace
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from gateway.core import checkpoint, pacing, passes, room
from gateway.core.bitmap import Bitmap
from gateway.core.draw import Draw
from gateway.core.passes import Record, Registry
from gateway.core.policy import Policy
from gateway.core.snapshot import Phase, Snapshot
from tests.core.room_model import SECOND_US, Model

START_US = 1_586_606_400_000_000
EPOCH = "0123456789abcdef"
HOUR_US, DAY_US = 3_600 * SECOND_US, 86_400 * SECOND_US
PERSONS = [bytes([letter]) * 32 for letter in range(6)]
CONTENTS = [bytes([letter]) * 16 for letter in range(2)]

positions = st.integers(0, 40)
batches = st.lists(positions, min_size=1, max_size=8)
steps_us = st.one_of(
    st.integers(0, 300_000),
    st.integers(300_000, 6_000_000),
    st.sampled_from([-HOUR_US, -1, DAY_US, SECOND_US]),
)
policies = st.builds(
    Policy,
    rate_per_s=st.sampled_from([0.5, 3.0, 20.0, 20.0]),
    burst=st.integers(1, 5),
    form_cap=st.integers(1, 6),
    quota=st.integers(1, 8),
    pass_ttl_s=st.sampled_from([10, 12]),
    check_in_s=st.sampled_from([1, 2]),
    intake_cap=st.integers(1, 6),
    paused=st.booleans(),
    joins_paused=st.sampled_from([False, False, True]),
    closes_at=st.sampled_from(
        ["", "", "", "2020-04-11T12:01:00+00:00", "2020-04-11T12:03:00+00:00"]
    ),
)


class RoomMachine(RuleBasedStateMachine):
    """One room, its visitors and its operators."""

    def mirror(self, script: str, args: list[Any], expected: Any) -> None:
        """Have a twin do the same, and compare its answer. The pure core has none."""

    @initialize(policy=policies, prequeue=st.integers(0, 2), opens=st.integers(2, 4))
    def make(self, policy: Policy, prequeue: int, opens: int, closes: int = 90) -> None:
        self.now_us = START_US
        at = [START_US + seconds * SECOND_US for seconds in (prequeue, opens, closes)]
        self.room = room.Room(EPOCH, policy, at[0], at[1], at[2], last_us=START_US)
        self.registry = Registry()
        self.model = Model(policy, at[1], at[2], START_US)
        self.seen: list[Snapshot] = []  # what processes have seen: the first one is cut off
        self.receipt_count = 0

    def position(self, number: int) -> int:
        """Return the place in the order, drawn as it is in earnest."""
        return Draw(bytes(32), self.room.cohort).position(number)

    def number(self, position: int) -> int:
        """Return whose position this is."""
        return Draw(bytes(32), self.room.cohort).number(position)

    def _place(self, number: int) -> int | None:
        return self.position(number) if self.room.near > 0 else None

    @rule(step_us=steps_us)
    def time_passes(self, step_us: int) -> None:
        """Let time pass; less than nothing, or more than a minute, is a jump of the server's clock."""
        jump = not 0 <= step_us <= 60 * SECOND_US
        self.now_us += step_us
        self.model.history.append(f"time {step_us}")
        self.model.passed(0 if jump else step_us, step_us if jump else 0)

    @rule(
        seen=st.lists(positions, max_size=12), processes=st.integers(1, 3),
        apart_us=st.sampled_from([0, 0, 0, 4 * SECOND_US, -DAY_US, HOUR_US]),
        commitment=st.sampled_from(["", "own", "another"]),
    )  # fmt: skip
    def tick(
        self, seen: list[int], processes: int = 1, apart_us: int = 0, commitment: str = ""
    ) -> None:
        """Tick from several processes at once: the room is none the richer for it."""
        self.model.history.append("tick")
        levels, wall_us = set(), self.now_us + apart_us
        for _ in range(processes):
            snapshot = room.tick(self.room, self.now_us, wall_us, seen, commitment)
            levels.add(self.room.level)
            self.model.stepped(self.now_us, self.room, wall_us)
            self.model.ticked(self.room, snapshot, commitment)
            self.mirror(
                "tick",
                [wall_us, commitment, *seen],
                [getattr(snapshot, name) for name in snapshot.__slots__],
            )
        self.model.expect("I-18", len(levels) == 1, f"{processes} processes refill {levels}")
        self.seen = [*self.seen[:1], snapshot]

    @rule()
    def the_cut_off_process_catches_up(self) -> None:
        self.seen = self.seen[-1:]

    @rule(number=positions)
    def is_shown(self, number: int) -> None:
        """Show a waiting visitor its place, from each process in turn, the older one last."""
        for snapshot in reversed(self.seen):
            position = self.position(number)
            if snapshot.opened and position >= snapshot.called:
                shown = self.model.shown.get(number)
                self.model.showed(number, pacing.ahead(position, snapshot.called, shown))

    @rule(count=st.integers(1, 7))
    def join(self, count: int = 1) -> None:
        self.model.history.append("join")
        answers = [passes.join(self.room) for _ in range(count)]
        for answer in answers:
            self.model.joined(answer)
        first = answers[0]
        told = ["joined", first.serial] if first.word == "joined" else [str(first.word)]
        self.mirror("join", [count], told)

    @rule(numbers=batches)
    def claim(self, numbers: list[int]) -> None:
        """Claim together: whoever stands before the others is answered before them."""
        pairs = [(number, self.position(number)) for number in numbers]
        answers: dict[int, passes.Answer] = {}
        for index in sorted(range(len(pairs)), key=lambda i: pairs[i][1]):
            self.model.history.append(f"claim {pairs[index]}")
            answers[index] = passes.claim(self.room, self.now_us, *pairs[index])
            self.model.stepped(self.now_us, self.room)
            self.model.claimed(*pairs[index], answers[index])
        told = [answers[index] for index in range(len(pairs))]
        self.model.batch([(*pair, answer) for pair, answer in zip(pairs, told, strict=True)])
        rows = [[str(a.word), a.serial, a.instant_us, a.wait_us] for a in told]
        self.mirror("claim", [part for pair in pairs for part in pair], rows)

    @rule(seconds=st.integers(1, 3))
    def crowd(self, seconds: int) -> None:
        """Lead everybody to the front: the states that matter are reached often, not by luck."""
        for _ in range(seconds):
            self.time_passes(SECOND_US)
            self.tick(list(range(self.room.issued)))
            self.claim(list(range(min(self.room.issued, 8))) or [0])

    @rule(numbers=batches)
    def look(self, numbers: list[int]) -> None:
        answers = []
        for number in numbers:
            answers.append(passes.look(self.room, number))
            self.model.looked(number, answers[-1])
        rows = [[a.word, a.serial, a.instant_us, a.extensions, a.receipt] for a in answers]
        self.mirror("look", numbers, rows)

    @rule(number=positions)
    def leave(self, number: int) -> None:
        self.model.history.append(f"leave {number}")
        place = self._place(number)
        answer = passes.leave(self.room, number, place)
        self.model.left(number, answer)
        self.mirror("leave", [number, -1 if place is None else place], [answer.word])

    @precondition(lambda self: self.room.passes)
    @rule(data=st.data(), off=st.integers(0, 1), lost=st.integers(0, 1))
    def extend_any(self, data: st.DataObject, off: int, lost: int) -> None:
        self.extend(data.draw(st.sampled_from(sorted(self.room.passes))), off, lost)

    def extend(self, number: int, off: int = 0, lost: int = 0) -> None:
        """Extend a pass whose holder has not seen the last ``lost`` answers."""
        serial, held = self.serial(number) + off, self.model.held.get(number)
        seen = max(0, held.extensions - lost) if held else 0
        answer = passes.extend(self.room, number, serial, seen)
        self.model.extended(number, serial, seen, answer)
        self.mirror("extend", [number, serial, seen], [[answer.word, answer.instant_us]])

    def serial(self, number: int) -> int:
        """Return the serial of this visitor's pass, outstanding or spent; 0 without one."""
        if number in self.model.held:
            return self.model.held[number].serial
        return self.model.spent.get(number, (0,))[0]

    @rule(
        data=st.data(), person=st.integers(0, 5), content=st.integers(0, 1),
        off=st.sampled_from([0, 0, 0, 1]),
    )  # fmt: skip
    def accept_any(self, data: st.DataObject, person: int, content: int, off: int) -> None:
        known = sorted(self.model.held.keys() | self.model.spent.keys()) or [0]
        self.accept(data.draw(st.sampled_from(known)), person, content, off)

    def accept(self, number: int, person: int, content: int = 0, off: int = 0) -> None:
        self.model.history.append(f"accept {number} {person}")
        serial = self.serial(number) + off
        self.receipt_count += 1
        tried = f"R{self.receipt_count}", PERSONS[person], CONTENTS[content]
        answer = passes.accept(
            self.room, self.registry, self.now_us,
            number=number, serial=serial, proposed=Record(*tried, 0),
        )  # fmt: skip
        self.model.registered(number, serial, answer, tried, self.now_us)
        args = ["w", number, serial, tried[0], tried[1].hex(), tried[2].hex(), b"{}"]
        self.mirror("accept", args, [[answer.word, answer.receipt, answer.instant_us]])

    @precondition(lambda self: self.room.backlog)
    @rule(state=st.sampled_from(["recorded", "recorded", "rejected"]))
    def settle(self, state: str = "recorded") -> None:
        self.model.history.append(f"settle {state}")
        self.mirror("settle", [state], 1)
        self.room.backlog -= 1
        self.room.recorded += state == "recorded"
        self.model.settled()

    @rule(policy=policies)
    def change_policy(self, policy: Policy) -> None:
        self.model.history.append(f"policy {policy}")
        room.step(self.room, self.now_us)
        self.model.stepped(self.now_us, self.room)
        if self.room.phase is Phase.CLOSED:  # it stays so, and nobody may say otherwise
            policy = replace(policy, closes_at=self.room.policy.closes_at)
        self.room.policy = policy
        self.room.revision += 1
        self.model.changed(policy)
        self.mirror("change_policy", [policy], [1, self.room.revision])

    def change(self, **fields: Any) -> None:
        """Change some fields of the policy in force."""
        self.change_policy(replace(self.room.policy, **fields))

    @property
    def may_recover(self) -> bool:
        """Whether the last process to tick knows of the opening: before that nobody has a position."""
        known = self.seen and self.seen[-1].opened == (self.room.near > 0)
        return bool(known) and self.room.issued < 200

    @precondition(lambda self: self.may_recover)
    @rule()
    def recover(self) -> None:
        """Lose the room and put it back from what the processes have seen, the older one first."""
        self.model.history.append("recover")
        ours = self.room
        before = checkpoint.take(self.seen[0], ours.policy)
        known = checkpoint.merge([before, checkpoint.take(self.seen[-1], ours.policy, before)])
        given, ours.issued = known.issued, checkpoint.beyond(known)
        ours.admitted = known.admitted + ours.issued - given
        ours.cohort, ours.called, ours.ripe = known.cohort, known.called, known.called
        ours.near = known.near and max(known.near, known.called + 1)
        ours.clock_us = ours.turned_us = self.model.wave_us = known.clock_us
        ours.ended, ours.missing, ours.level, ours.last_us = known.ended, 0, 0, self.now_us
        ours.present, ours.fresh, ours.passes = Bitmap(), Bitmap(), {}
        ours.phase, self.model.recovering = Phase.RECOVERING, True
        self.model.recovered(self.now_us, ours.issued, known.ended)
        self.mirror("restore", [], 1)
        self.tick([])
        ours.phase, self.model.recovering = Phase.OPEN if ours.near else Phase.SCHEDULED, False
        self.mirror("reopen", [ours.accepted], [ours.accepted, 0])

    def same_state(self) -> None:
        """Compare the whole state with a twin's."""

    @invariant()
    def promises_hold(self) -> None:
        if hasattr(self, "room"):
            self.model.compare(self.room)
            assert not self.model.broken, "; ".join(self.model.broken)
