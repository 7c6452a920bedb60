"""What a verdict is made from: values only. ``remains`` reads them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Terms:
    """What the wave allowed."""

    people: int
    rate_per_s: float
    burst: int
    quota: int


@dataclass(frozen=True, slots=True)
class Held:
    """A receipt that was handed out, and the form it was given for."""

    person: int
    receipt: str
    form: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Issued:
    """A pass, as its holder saw it. Instants in microseconds of one wall clock."""

    number: int
    issued_at_us: int  # as the gateway says
    asked_at_us: int
    answered_at_us: int


@dataclass(frozen=True, slots=True)
class Row:
    """One registration in the store."""

    receipt: str
    person: bytes
    form: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Evidence:
    """All that a run left behind."""

    terms: Terms
    held: Sequence[Held]
    passes: Sequence[Issued]
    rows: Sequence[Row]
    outcomes: Mapping[str, int]  # how many applicants ended how
    surprises: Sequence[str]  # answers that no honest applicant should get
    answers: Mapping[str, Mapping[str, int]]  # request name -> status or "shed" -> count
    lag_p99_ms: float
    admitted: int | None  # as the board says; None: it did not answer at the end
    stop_code: int  # of the gateway, told to drain
