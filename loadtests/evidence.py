"""What a verdict is made from: values only. ``remains`` reads them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from gateway.core.draw import Draw
from loadtests.histogram import Histogram

PASS_TTL_S = 120  # longer than most runs: no pass expires unspent


@dataclass(frozen=True, slots=True)
class Terms:
    """What the wave and the store allow, and how long things take in them."""

    people: int
    rate_per_s: float
    burst: int
    quota: int
    form_cap: int = 0  # 0: as many as the quota
    pass_ttl_s: int = PASS_TTL_S
    check_in_s: int = 2
    poll_budget_per_s: int = 2_000
    prequeue_s: float | None = None  # before the opening; None: from the start
    open_s: float = 3_600.0
    store_per_s: int = 500  # rows; 0: not known


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
    called_at_us: int = 0  # when its holder saw that it may claim; 0: it was not there all the time
    told_us: tuple[int, int] | None = None  # the first range that it was told, where it was
    told_at_us: int = 0  # and when
    is_first: bool = True  # answer; a later one may tell an end that was put off since


@dataclass(frozen=True, slots=True)
class Joined:
    """A number, as it was given."""

    number: int
    asked_at_us: int
    answered_at_us: int


@dataclass(frozen=True, slots=True)
class Row:
    """One registration in the store."""

    receipt: str
    person: bytes
    form: Mapping[str, str]
    recorded_at_us: int = 0


@dataclass(frozen=True, slots=True)
class Evidence:
    """All that a run left behind."""

    terms: Terms
    lives: int  # devices and bots that were to come
    waiting: int  # of these: told to look again after the end
    held: Sequence[Held]
    passes: Sequence[Issued]
    joins: Sequence[Joined]
    positions: Mapping[int, int]  # number -> as it was told
    rows: Sequence[Row]
    outcomes: Mapping[str, int]  # how many lives ended how
    surprises: Sequence[str]  # answers that no honest applicant should get
    silences: Mapping[str, int]  # request name -> how many had no answer
    answers: Mapping[
        str, Mapping[str, int]
    ]  # request name -> status, "shed" or "throttled" -> count
    requests: int  # sent and answered
    lag_p99_ms: float
    draw: Draw | None  # as published; None: the board did not answer at the end
    draw_verified: bool  # by `gateway verify-draw`
    admitted: int | None  # as the board says; None: it did not answer at the end
    stop_code: int  # of the gateway, told to drain
    requests_min: int = 0
    generator_cpu: float = 0.0  # its busiest process over ten seconds, in cores
    troubles: Sequence[str] = ()  # what was done to the gateway
    stops_us: Sequence[tuple[int, int]] = ()  # when nobody could be admitted for it
    wanted_troubles: Sequence[str] = ()  # and what was to be
    looks_ms: Mapping[int, Histogram] = field(default_factory=dict)  # pages and polls, by second
    kills_s: Sequence[
        tuple[float, float]
    ] = ()  # from the kill until it served again; as those seconds
