"""What may stand in a programme's file? One struct per table: keys, types, ranges and rules.

``programmes`` turns what passed into the core's values, and checks what concerns several files.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal

from msgspec import Meta, field

from gateway.configuration import Table
from gateway.core.autofill import Autocomplete
from gateway.core.form import Kind
from gateway.core.look import BACK, CONTRAST_MIN, ON_DARK, PAPER, PAPER_DARK, contrast
from gateway.core.policy import Policy, validate
from gateway.core.programme import Moment, Zone

Identifier = Annotated[
    str, Meta(pattern=r"\A[a-z0-9-]{1,64}\Z", description="1 to 64 of a-z, 0-9 and -")
]
FieldName = Annotated[
    str,
    Meta(
        pattern=r"\A[a-z][a-z0-9_]{0,31}\Z",
        description="a letter, then at most 31 of a-z, 0-9 and _",
    ),
]
Line = Annotated[
    str,
    Meta(
        # No controls, no line breaks, nothing that turns the direction of the page around it.
        pattern=r"\A[^\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]{1,300}\Z",
        description="one line of text, 1 to 300 characters",
    ),
]
Length = Annotated[int, Meta(ge=0, le=1_000, description="a length from 0 to 1000")]

# Least and greatest length, unless said; the other kinds have one form each.
LENGTHS: Mapping[str, tuple[int, int]] = {"digits": (1, 32), "text": (1, 200)}
FIELDS_MAX = 32
CHOICES_MAX = 600  # every regency and city of Indonesia fits
WAVES_MAX = 100  # of one programme: more than thirty waves followed the first one of 2020

US_PER = {"s": 1_000_000, "m": 60_000_000, "h": 3_600_000_000}
DISTANCE = re.compile(r"\+([0-9]{1,6})([smh])")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class BothTexts(Table, frozen=True, kw_only=True):
    """The same text in every language the pages speak."""

    id: Line
    en: Line


class ChoiceTable(Table, frozen=True, kw_only=True):
    value: Annotated[
        str,
        Meta(pattern=r"\A[A-Za-z0-9-]{1,64}\Z", description="1 to 64 letters, digits and -"),
    ]
    label: BothTexts


class FieldTable(Table, frozen=True, kw_only=True):
    name: FieldName
    kind: Kind
    required: bool = True
    label: BothTexts
    hint: BothTexts | None = None
    min_length: Length | None = None
    max_length: Length | None = None
    choices: tuple[ChoiceTable, ...] = ()
    autocomplete: Autocomplete | None = None

    @property
    def lengths(self) -> tuple[int, int]:
        """Least and greatest length: as said, or else as usual; 0 where the kind decides."""
        least, greatest = LENGTHS.get(self.kind, (0, 0))
        return (
            least if self.min_length is None else self.min_length,
            greatest if self.max_length is None else self.max_length,
        )

    def check(self) -> Iterator[tuple[str, str]]:
        least, greatest = self.lengths
        if self.kind not in LENGTHS:
            if (self.min_length, self.max_length) != (None, None):
                yield "", f"a {self.kind} has one form: no min_length, no max_length"
        elif not 0 < greatest >= least:
            yield "max_length", "must be at least 1, and at least min_length"
        if self.kind == "choice":
            yield from _count("choices", self.choices, CHOICES_MAX)
            yield from _once("choices", (choice.value for choice in self.choices))
        elif self.choices:
            yield "choices", "only a field of kind choice has them"


Colour = Annotated[
    str,
    Meta(pattern=r"\A(#[0-9a-f]{6})?\Z", description="a colour such as #0b4f8a, in small letters"),
]


class LookTable(Table, frozen=True, kw_only=True):
    logo: str = ""  # an image beside the programme's file
    colour: Colour = ""
    colour_dark: Colour = ""

    def check(self) -> Iterator[tuple[str, str]]:
        for key, colour, grounds in (
            ("colour", self.colour, (PAPER, BACK)),
            ("colour_dark", self.colour_dark, (PAPER_DARK, ON_DARK)),
        ):
            least = (
                min((contrast(colour, ground) for ground in grounds), default=0) if colour else 21
            )
            if least < CONTRAST_MIN:
                yield (
                    key,
                    f"has a contrast of {least:.1f}:1; people need {CONTRAST_MIN}:1 to read it",
                )


class WaveTable(Table, frozen=True, kw_only=True):
    id: Identifier
    ordinal: Annotated[int, Meta(ge=1, le=9_999, description="a whole number from 1 to 9999")]
    prequeue_at: Any  # a date-time with offset; in a demo also a distance, "+45s"
    opens_at: Any
    closes_at: Any
    policy: dict[str, Any]  # the core's policy knows its own fields

    @property
    def moments(self) -> dict[str, Moment | str]:
        """The three instants by name, each read or with the reason why not."""
        return {
            name: moment(getattr(self, name)) for name in ("prequeue_at", "opens_at", "closes_at")
        }

    def check(self) -> Iterator[tuple[str, str]]:
        moments = self.moments
        read = [value for value in moments.values() if isinstance(value, Moment)]
        yield from ((name, value) for name, value in moments.items() if isinstance(value, str))
        if len({value.relative for value in read}) > 1:
            yield "", "its instants must be all distances or all date-times"
        elif len(read) == 3 and not read[0].us < read[1].us < read[2].us:
            yield "", "needs prequeue_at before opens_at before closes_at"
        if "quota" not in self.policy:  # it has no default, for no guess is right
            yield "policy.quota", "is missing"
        answer = validate(self.policy, Policy())
        for violation in answer if isinstance(answer, tuple) else ():
            yield f"policy.{violation.pointer.removeprefix('/')}", violation.detail


class ProgrammeTable(Table, frozen=True, kw_only=True):
    id: Identifier
    demo: bool = False  # true: instants may be distances from the making of the room
    name: BothTexts
    zone: Zone
    selection: Literal["first-come", "lottery"]
    person_field: FieldName
    help_line: BothTexts
    prepare: BothTexts
    fields: tuple[FieldTable, ...]
    waves: tuple[WaveTable, ...]
    look: LookTable = LookTable()
    texts: dict[str, BothTexts] = field(
        default_factory=dict
    )  # of pages, by their names in the catalogues

    def check(self) -> Iterator[tuple[str, str]]:
        yield from _count("fields", self.fields, FIELDS_MAX)
        yield from _once("fields", (field.name for field in self.fields))
        yield from _count("waves", self.waves, WAVES_MAX)
        yield from _once("waves", (f"id {wave.id}" for wave in self.waves))
        yield from _once("waves", (f"ordinal {wave.ordinal}" for wave in self.waves))
        person = [field for field in self.fields if field.name == self.person_field]
        if not person:
            yield "person_field", "must be the name of a field"
        elif not person[0].required:
            yield "person_field", f"{self.person_field} must be required: it says who registers"
        for wave in () if self.demo else self.waves:
            if any(isinstance(value, Moment) and value.relative for value in wave.moments.values()):
                yield f"waves[{wave.id}]", "distances are for programmes that say demo = true"


def moment(value: object) -> Moment | str:
    """Read an instant or a distance, or say why it is neither."""
    distance = DISTANCE.fullmatch(value) if isinstance(value, str) else None
    if distance:
        return Moment(int(distance[1]) * US_PER[distance[2]], relative=True)
    if not isinstance(value, datetime):
        return "must be a date-time with offset: 2020-04-11T19:00:00+07:00"
    if not value.tzinfo:
        return "needs its offset from UTC: 2020-04-11T19:00:00+07:00"
    if value < EPOCH:
        return "must not be before 1970"
    return Moment((value - EPOCH) // timedelta(microseconds=1))


def _count(key: str, values: tuple[object, ...], most: int) -> Iterator[tuple[str, str]]:
    if not 1 <= len(values) <= most:
        yield key, f"must hold 1 to {most}, not {len(values)}"


def _once(key: str, values: Iterable[object]) -> Iterator[tuple[str, str]]:
    for value, times in Counter(values).items():
        if times > 1:
            yield key, f"{value} stands there {times} times"
