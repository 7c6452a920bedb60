"""What is measured, under which names: the tables that the documents list.

``COUNTED`` is what processes count, ``TOLD`` is what the room knows. Labels come from routes, enums, problem
codes and configured waves; nothing a client sends is ever one.
"""

from collections.abc import Callable
from typing import Literal, NamedTuple

from gateway.core.policy import Policy
from gateway.core.snapshot import Snapshot


class Measure(NamedTuple):
    """One metric, as the documents list it."""

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    labels: tuple[str, ...]
    meaning: str


def _counted(
    name: str, kind: Literal["counter", "gauge", "histogram"], meaning: str, *labels: str
) -> Measure:
    return Measure(name, kind, labels, meaning)


COUNTED: tuple[Measure, ...] = (
    _counted(
        "gateway_requests_total", "counter", "Requests answered.", "method", "route", "status"
    ),
    _counted("gateway_request_seconds", "histogram", "Time from head to answer.", "route"),
    _counted("gateway_problems_total", "counter", "Refusals, by problem code.", "code"),
    _counted("gateway_ticks_total", "counter", "Ticks, done or missed.", "result"),
    _counted("gateway_store_batch_seconds", "histogram", "Time to commit one batch."),
    _counted("gateway_store_rows_total", "counter", "Entries settled, by outcome.", "recording"),
    _counted("gateway_delivery_failures_total", "counter", "Attempts that failed.", "failure"),
    _counted("gateway_delivery_oldest_seconds", "gauge", "Age of the oldest entry in hand."),
    _counted("gateway_store_circuit", "gauge", "1 for where the breaker stands.", "circuit"),
    _counted("gateway_store_circuit_total", "counter", "Changes of the breaker.", "circuit"),
    _counted("gateway_dead_letters", "gauge", "Refused by the store for good.", "wave"),
    _counted("gateway_settled_entries", "gauge", "Recorded, not yet read back.", "wave"),
    _counted("gateway_unchecked_entries", "gauge", "Let go without being read back.", "wave"),
    _counted("gateway_forgotten_total", "counter", "Said to be stored, queued again.", "wave"),
    _counted(
        "gateway_lost_registrations",
        "gauge",
        "Recorded, and not in the store any more.",
        "programme",
    ),
    _counted("gateway_promises_total", "counter", "Told waits that came due.", "wave", "kept"),
    _counted("gateway_event_loop_lag_seconds", "gauge", "Worst delay of a callback in a second."),
    _counted("gateway_requests_shed_total", "counter", "Refused for lack of room.", "rank"),
    _counted("gateway_throttled_total", "counter", "Refused for asking too often.", "class"),
    _counted("gateway_connections_closed_total", "counter", "Closed for lack of room.", "reason"),
    _counted(
        "gateway_forwarded_unreadable_total", "counter", "Without a client in X-Forwarded-For."
    ),
    _counted("gateway_requests_in_flight", "gauge", "Handed to a handler and not answered."),
    _counted("gateway_requests_in_flight_limit", "gauge", "So many may be in flight."),
    _counted("gateway_shedding_ratio", "gauge", "Share of the ranks that is refused; 0: nobody."),
    _counted(
        "gateway_redis_command_duration_seconds",
        "histogram",
        "Time until Redis answered.",
        "command",
    ),
)


class Told(NamedTuple):
    """One figure of a wave, and where it stands. Labelled by wave."""

    measure: Measure
    value: Callable[[Snapshot, Policy], float]


def _told(name: str, meaning: str, value: Callable[[Snapshot, Policy], float]) -> Told:
    kind: Literal["counter", "gauge"] = "counter" if name.endswith("_total") else "gauge"
    return Told(Measure(name, kind, ("wave",), meaning), value)


def _waiting(snapshot: Snapshot, _: Policy) -> float:
    return max(0, snapshot.issued - snapshot.called) + snapshot.stock


TOLD: tuple[Told, ...] = (
    _told("gateway_tickets_issued_total", "Numbers given.", lambda s, _: s.issued),
    _told("gateway_tickets_called_total", "Positions called.", lambda s, _: s.called),
    _told("gateway_tickets_ended_total", "Left, or missed twice.", lambda s, _: s.ended),
    _told("gateway_tickets_waiting", "Uncalled, or present without a pass.", _waiting),
    _told("gateway_passes_issued_total", "Admissions.", lambda s, _: s.admitted),
    _told("gateway_passes_outstanding", "Reservations in force.", lambda s, _: s.outstanding),
    _told("gateway_registrations_accepted_total", "Acknowledged.", lambda s, _: s.accepted),
    _told("gateway_registrations_recorded_total", "In the store.", lambda s, _: s.recorded),
    _told("gateway_registrations_missing_total", "Lost with Redis.", lambda s, _: s.missing),
    _told("gateway_intake_entries", "Accepted and not yet settled.", lambda s, _: s.backlog),
    _told("gateway_quota_places", "Registrations allowed.", lambda _, p: p.quota),
    _told("gateway_rate_per_second", "Admissions allowed per second.", lambda _, p: p.rate_per_s),
    _told(
        "gateway_rate_in_force_per_second", "Below it: held.", lambda s, _: s.rate_milli_per_s / 1e3
    ),
    _told(
        "gateway_intake_oldest_seconds",
        "Age of the oldest not settled.",
        lambda s, _: max(0, s.now_us - s.oldest_us) / 1e6 if s.oldest_us else 0.0,
    ),
    _told("gateway_policy_revision", "Revision in force.", lambda s, _: s.revision),
    _told("gateway_wave_opens_timestamp_seconds", "Opening.", lambda s, _: s.opens_at_us / 1e6),
    _told(
        "gateway_wave_closes_timestamp_seconds",
        "Closing.",
        lambda s, p: p.closes_us(s.closes_at_us) / 1e6,
    ),
    _told(
        "gateway_clock_unconfirmed_seconds",
        "From where a process agreed.",
        lambda s, _: s.unconfirmed_us / 1e6,
    ),
    _told("gateway_snapshot_timestamp_seconds", "Last tick seen.", lambda s, _: s.now_us / 1e6),
)
PHASE = Measure("gateway_wave_phase", "gauge", ("wave", "phase"), "1 for the phase it is in.")
CPU = Measure("gateway_process_cpu_seconds_total", "counter", ("pid",), "Processor time used.")
BUILD = Measure("gateway_build_info", "gauge", ("version",), "Always 1.")

MEASURES: tuple[Measure, ...] = (*COUNTED, *(told.measure for told in TOLD), PHASE, CPU, BUILD)
