"""How does one wave stand, in the words operators read? A document made from what this process knows.

``phase`` is null until the room has been seen; then the counters of ``core/snapshot`` follow, and what
they mean for people: ``waiting``, ``places_left``, ``advance_per_s``, ``first_eta_s``, ``median_eta_s`` and
``last_eta_s`` (of who stands there in line).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from typing import Any

from gateway.core import pacing
from gateway.core.clock import iso
from gateway.core.policy import RATE_MILLI, Policy, to_document
from gateway.core.programme import Zone
from gateway.core.snapshot import Phase, Snapshot
from gateway.services.rooms import LiveRoom

COUNTERS = tuple(
    field.name
    for field in fields(Snapshot)
    if field.type is int and not field.name.endswith("_us") and field.name != "revision"
)


def doubt(room: LiveRoom) -> str | None:
    """Say why a registration for this wave might not be taken in durably; None: it would be."""
    snapshot = room.snapshot
    if snapshot is None:
        return f"{room.wave.id}: not seen yet"
    if room.stale:
        return f"{room.wave.id}: last seen {room.age_s():.1f} s ago"
    if snapshot.phase is Phase.RECOVERING:
        return f"{room.wave.id}: recovering"
    if snapshot.backlog >= room.policy.intake_cap:
        return f"{room.wave.id}: the intake is at its cap"
    if oldest_s(snapshot) > room.policy.intake_age_s:
        return f"{room.wave.id}: the oldest entry of the intake is {oldest_s(snapshot):.0f} s old"
    return None


def misfit(room: LiveRoom) -> str | None:
    """Say why this process should get none of a wave's traffic; None: it may."""
    if room.has_its_draw:
        return None
    return f"{room.wave.id}: its draw is bound to another draw.key than this process has"


def oldest_s(snapshot: Snapshot) -> float:
    """Return the age of the oldest entry that is not settled; 0: there is none."""
    if not snapshot.oldest_us:
        return 0.0
    return max(0, snapshot.now_us - snapshot.oldest_us) / 1_000_000


def age_s(room: LiveRoom) -> float | None:
    """Return the age of what is known of a room; None: nothing is."""
    return None if room.snapshot is None else round(room.age_s(), 3)


def alarms(rooms: Iterable[LiveRoom], deliveries: Sequence[Mapping[str, Any]]) -> list[str]:
    """Say what nobody may overlook: an hour that cannot be kept, a promise that the store has broken."""
    kept = {wave: told for row in deliveries for wave, told in row["reconciler"]["waves"].items()}
    sweeps = {
        name: told for row in deliveries for name, told in row["reconciler"]["sweeps"].items()
    }
    return [
        *(
            f"{room.wave.id}: the clock of Redis is far from those of all processes; until one agrees, "
            "no wave opens or closes; see `gateway doctor`"
            for room in rooms
            if room.snapshot and not room.snapshot.is_confirmed
        ),
        *(
            f"{wave}: {told['dead']} dead letters; see `gateway ctl dead-letters list`"
            for wave, told in kept.items()
            if told["dead"]
        ),
        *(
            f"{wave}: the store has forgotten {told['forgotten']} entries; they were queued again"
            for wave, told in kept.items()
            if told["forgotten"]
        ),
        *(
            f"{name}: {told['lost']} recorded registrations are not in the store"
            for name, told in sweeps.items()
            if told["lost"]
        ),
        *(
            f"{name}: {told['astray']} acknowledged registrations are nowhere: not recorded, not in the"
            " intake, no dead letter"
            for name, told in sweeps.items()
            if told.get("astray")  # a delivery of an older version tells none
        ),
    ]


def overview(room: LiveRoom) -> dict[str, Any]:
    """Return all counters of one wave, its policy, and how old they are."""
    snapshot = room.snapshot
    return {
        "wave": room.wave.id,
        "programme": room.programme.id,
        "age_s": age_s(room),
        "stale": room.stale,
        "revision": room.revision,
        "policy": to_document(room.policy),
        "timer": _timer(room),
        **({"phase": None} if snapshot is None else _seen(room, snapshot)),
    }


def _timer(room: LiveRoom) -> dict[str, Any] | None:
    """Return what goes back by itself, and when; null: nothing does."""
    timer = room.timer
    if timer is None:
        return None
    until = iso(timer.until_us, room.programme.zone)
    return {"until": until, "fields": dict(timer.fields), "who": timer.who}


def _seen(room: LiveRoom, snapshot: Snapshot) -> dict[str, Any]:
    zone = room.programme.zone
    short_per_s, long_per_s = room.advance.per_s(), room.advance.per_s(pacing.LONG_US)
    uncalled = max(0, snapshot.issued - snapshot.called)
    return {
        "phase": snapshot.phase,
        "since": _since(snapshot, room.policy, zone),
        **_times(snapshot, room.policy, zone),
        **{name: getattr(snapshot, name) for name in COUNTERS},
        "rate_per_s": snapshot.rate_milli_per_s / RATE_MILLI,  # in force
        "oldest_s": round(oldest_s(snapshot), 1),  # of the backlog
        "waiting": uncalled + snapshot.stock,
        "places_left": max(0, room.policy.quota - snapshot.accepted - snapshot.outstanding),
        "advance_per_s": short_per_s,
        **{
            f"{who}_eta_s": pacing.eta_s(ahead, short_per_s, long_per_s)
            for who, ahead in (
                ("first", min(1, uncalled)),
                ("median", uncalled // 2),
                ("last", uncalled),
            )
        },
        "stretch": room.stretch,
        "polls_expected_per_s": round(room.polls_expected_per_s, 1),
        "epoch": snapshot.epoch,
    }


def share(room: LiveRoom) -> dict[str, float]:
    """Return what one process adds to what the fleet has measured of a wave."""
    return {
        "polls_per_s": room.polled.per_s() or 0.0,
        "promises_made": room.promises.made,
        "promises_kept": room.promises.kept,
    }


def fleet(room: LiveRoom, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return what all live processes together have measured of a wave.

    ``eta_honesty`` is the share of those called who had been told a range and were called inside it;
    null before anybody was.
    """
    shares = [row["shares"].get(room.wave.id, {}) for row in rows if "shares" in row]
    total = {name: sum(one.get(name, 0) for one in shares) for name in share(room)}
    made = total["promises_made"]
    return {
        "polls_per_s": round(total["polls_per_s"], 1),
        "eta_honesty": round(total["promises_kept"] / made, 3) if made else None,
    }


def together(rows: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Return what comes to all live processes a second, by what became of it; empty: not known yet."""
    traffics = [row["traffic"] for row in rows if row.get("traffic")]
    names = traffics[0] if traffics else ()
    return {name: round(sum(each.get(name, 0) for each in traffics), 1) for name in names}


def _since(snapshot: Snapshot, policy: Policy, zone: Zone) -> str | None:
    """Return since when the phase is; null where nobody wrote it down: a pause says it in its message."""
    began = {
        Phase.PREQUEUE: snapshot.prequeue_at_us,
        Phase.OPEN: snapshot.opens_at_us,
        Phase.CLOSED: policy.closes_us(snapshot.closes_at_us),
    }
    return iso(began[snapshot.phase], zone) if snapshot.phase in began else None


def _times(snapshot: Snapshot, policy: Policy, zone: Zone) -> dict[str, str]:
    return {
        "prequeue_at": iso(snapshot.prequeue_at_us, zone),
        "opens_at": iso(snapshot.opens_at_us, zone),
        "closes_at": iso(policy.closes_us(snapshot.closes_at_us), zone),
    }
