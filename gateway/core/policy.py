"""What operators may change live: one document per wave, valid as a whole or refused as a whole.

Every field has a type, a range and a default here and nowhere else; ``BOUNDS`` is also the source of
the tables in README.md and of the operator's error texts.
"""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from typing import Any

AUTO = "auto"
RATE_MILLI = 1000  # the bucket counts whole thousandths of an admission per second


@dataclass(frozen=True, slots=True)
class Policy:
    """The two knobs and their company. Immutable: a request reads one value, once."""

    rate_per_s: float = 10.0  # admissions per second, in steps of 0.001
    burst: int = 10  # tokens in a full bucket
    form_cap: int = 1_000  # outstanding passes at once
    quota: int = 1_000  # registrations this wave may accept
    pass_ttl_s: int = 600  # to open and fill the form; two extensions of the same length
    check_in_s: int = 5  # how often visitors near the front show that they are there
    poll_budget_per_s: int = 2_000  # polls per second the whole room may ask for
    intake_cap: int = (
        100_000  # accepted and not yet recorded; beyond it claims stop, then registrations
    )
    intake_age_s: int = 1_800  # of the oldest of them; claims stop at half of it
    autopilot: str = "manual"  # auto: the rate follows the store, below rate_per_s
    floor_per_s: float = 0.0  # what the autopilot admits at least; 0: 1 % of rate_per_s
    # When a front door refuses work, and how fast (core/shedding): of all live waves the most careful.
    shed_lag_ms: int = 5  # least delay of a callback in 100 ms above which it is overloaded
    shed_wait_ms: int = 15  # CPU time that may wait before a request
    shed_in_flight_min: int = 8  # requests in flight, however slow they are
    shed_in_flight_max: int = 64  # and however quick
    shed_fall_ratio: float = 0.05  # by which the threshold falls every 100 ms
    shed_rise_ratio: float = 0.01  # and rises
    shed_memory_free_ratio: float = 0.05  # of the machine's, below which it is overloaded
    shed_descriptors_free_ratio: float = 0.1  # of the process's
    shed_intake_ratio: float = 1.0  # of intake_cap or intake_age_s, from which claims find no room
    paused: bool = False
    joins_paused: bool = False  # nobody new gets a number; those who have one are served
    closes_at: str = ""  # instant in ISO 8601 with offset; empty: the programme's
    message: str = ""  # shown on every page while it is set
    beacon: str = ""  # a public value mixed into the draw; counts until the opening, not after it

    @property
    def rate_milli_per_s(self) -> int:
        """The rate as the bucket's integer, thousandths per second."""
        return round(self.rate_per_s * RATE_MILLI)

    @property
    def floor_milli_per_s(self) -> int:
        """The autopilot's floor, thousandths per second, never above the rate."""
        floor = self.floor_per_s or self.rate_per_s / 100
        return max(1, min(self.rate_milli_per_s, round(floor * RATE_MILLI)))

    @property
    def is_steered(self) -> bool:
        """Whether the autopilot may lower the rate."""
        return self.autopilot == AUTO

    @property
    def closing_us(self) -> int:
        """The instant at which the wave closes; 0: at the programme's."""
        return (instant_us(self.closes_at) or 0) if self.closes_at else 0

    def closes_us(self, programmed_us: int) -> int:
        """Return when the wave closes, whose programme says ``programmed_us``."""
        return self.closing_us or programmed_us


def instant_us(text: str) -> int | None:
    """Return an instant written in ISO 8601 with its offset; None: it is none."""
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        return None
    return None if instant.tzinfo is None else round(instant.timestamp() * 1_000_000)


@dataclass(frozen=True, slots=True)
class Bound:
    """The type and range of one policy field."""

    kind: type
    low: float = 0  # also the least length of a text
    high: float = 0  # also the greatest length of a text
    note: str = ""
    choices: tuple[str, ...] = ()  # of a text, where not every one will do
    is_instant: bool = False  # a text that is one, or empty


BOUNDS: Mapping[str, Bound] = {
    "rate_per_s": Bound(float, 0.001, 100_000, "admissions per second; to stop, use paused"),
    "burst": Bound(int, 1, 100_000, "at most one second of rate, and at least 1"),
    "form_cap": Bound(int, 1, 1_000_000, "people on the form at once"),
    "quota": Bound(int, 0, 100_000_000, "registrations this wave may accept"),
    "pass_ttl_s": Bound(int, 10, 86_400, "life of a pass in seconds"),
    "check_in_s": Bound(int, 1, 60, "seconds between check-ins near the front"),
    "poll_budget_per_s": Bound(int, 1, 1_000_000, "polls per second over the whole room"),
    "intake_cap": Bound(int, 1, 10_000_000, "accepted and not yet recorded"),
    "intake_age_s": Bound(int, 1, 86_400, "age of the oldest of them; claims stop at half of it"),
    "autopilot": Bound(
        str, note="auto: the rate follows the store, below rate_per_s", choices=("manual", AUTO)
    ),
    "floor_per_s": Bound(float, 0, 100_000, "least rate of the autopilot; 0: 1 % of rate_per_s"),
    "shed_lag_ms": Bound(int, 1, 1_000, "delay of the event loop that is overload"),
    "shed_wait_ms": Bound(int, 1, 1_000, "work that may wait before a request"),
    "shed_in_flight_min": Bound(int, 1, 16, "requests in flight, however slow"),
    "shed_in_flight_max": Bound(int, 16, 1_024, "requests in flight, however quick"),
    "shed_fall_ratio": Bound(float, 0.001, 0.5, "how fast the threshold falls, each 100 ms"),
    "shed_rise_ratio": Bound(float, 0.001, 0.5, "how fast it rises, each 100 ms"),
    "shed_memory_free_ratio": Bound(float, 0, 0.5, "free memory below which there is overload"),
    "shed_descriptors_free_ratio": Bound(float, 0, 0.5, "free descriptors below which there is"),
    "shed_intake_ratio": Bound(float, 0.1, 1, "of the intake, from which claims find no room"),
    "paused": Bound(bool, note="true stops admissions; passes stay valid"),
    "joins_paused": Bound(bool, note="true takes nobody new; those who wait are served"),
    "closes_at": Bound(
        str, 0, 40, "an instant, with its offset; empty: the programme's", is_instant=True
    ),
    "message": Bound(str, 0, 300, "shown on every page"),
    "beacon": Bound(
        str, 0, 100, "a public value mixed into the draw; without effect after opening"
    ),
}


@dataclass(frozen=True, slots=True)
class Violation:
    """One reason why a document was refused."""

    pointer: str  # RFC 6901, "/rate_per_s"
    code: str  # unknown | type | range | text | choice | instant | burst | floor
    detail: str


def _check(name: str, value: Any) -> Violation | None:
    bound = BOUNDS[name]
    pointer = f"/{name}"
    accepted = (int, float) if bound.kind is float else (bound.kind,)
    # bool is an int in Python; JSON knows better.
    if not isinstance(value, accepted) or (isinstance(value, bool) and bound.kind is not bool):
        return Violation(pointer, "type", f"must be a {bound.kind.__name__}")
    if bound.kind is bool:
        return None
    if isinstance(value, str):
        if bound.choices:
            told = f"must be {' or '.join(bound.choices)}"
            return None if value in bound.choices else Violation(pointer, "choice", told)
        if not bound.low <= len(value) <= bound.high:
            return Violation(pointer, "range", f"must have at most {bound.high:.0f} characters")
        if not value.isprintable():
            return Violation(pointer, "text", "must be printable text on one line")
        if bound.is_instant and value and instant_us(value) is None:
            told = "must be a date-time with offset: 2020-04-16T16:00:00+07:00"
            return Violation(pointer, "instant", told)
        return None
    # The comparison is also false for NaN.
    assert isinstance(value, (int, float))
    if not bound.low <= value <= bound.high:
        return Violation(pointer, "range", f"must be from {bound.low:g} to {bound.high:.0f}")
    return None


def validate(changes: Mapping[str, Any], base: Policy) -> Policy | tuple[Violation, ...]:
    """Apply ``changes`` to ``base``, or say everything that is wrong with them at once."""
    violations = [
        Violation(f"/{name}"[:80], "unknown", "is not a policy field")
        for name in changes
        if name not in BOUNDS
    ]
    known = {name: value for name, value in changes.items() if name in BOUNDS}
    refused = {name: found for name, value in known.items() if (found := _check(name, value))}
    merged = asdict(base) | {name: known[name] for name in known if name not in refused}
    for name in ("rate_per_s", "floor_per_s"):
        merged[name] = round(float(merged[name]) * RATE_MILLI) / RATE_MILLI
    policy = Policy(**merged)
    violations += refused.values()
    violations += [
        found for found in _check_together(policy) if not _PAIRS[found.code] & refused.keys()
    ]
    return tuple(violations) or policy


_PAIRS = {"burst": {"burst", "rate_per_s"}, "floor": {"floor_per_s", "rate_per_s"}}


def _check_together(policy: Policy) -> Iterator[Violation]:
    """Yield what only two fields together get wrong; where one of them is, that is all there is to say."""
    if policy.burst > max(1.0, policy.rate_per_s):
        detail = f"burst {policy.burst} is more than one second of rate {policy.rate_per_s:g}"
        yield Violation("/burst", "burst", detail)
    if policy.floor_per_s > policy.rate_per_s:
        detail = f"floor {policy.floor_per_s:g} is above the rate {policy.rate_per_s:g}"
        yield Violation("/floor_per_s", "floor", detail)


def diff(old: Policy, new: Policy) -> dict[str, tuple[Any, Any]]:
    """Return the changed fields: name -> (old, new)."""
    pairs = (
        (field.name, getattr(old, field.name), getattr(new, field.name)) for field in fields(old)
    )
    return {name: (before, after) for name, before, after in pairs if before != after}


def to_document(policy: Policy) -> dict[str, Any]:
    """Return the policy as the JSON object that operators read and write."""
    return asdict(policy)


def from_document(document: Mapping[str, Any]) -> Policy:
    """Read what was kept. Fields of a later version are let go: this one can be rolled back to."""
    return Policy(**{name: value for name, value in document.items() if name in BOUNDS})
