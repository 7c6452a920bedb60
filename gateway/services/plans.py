"""What would a change bring? The forecast under the policy in force beside that under the one wanted.

Asks nobody: all is worked out from the room's latest snapshot. A plan says what is expected, not what is
promised; what could disappoint stands in its ``warnings``.
"""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from gateway.core import pacing
from gateway.core.clock import iso
from gateway.core.forecast import Forecast, forecast, habits
from gateway.core.policy import Policy
from gateway.core.snapshot import Phase
from gateway.services.rooms import LiveRoom

# What is kept of a plan with the change that was made.
KEY_FIGURES = ("rate_per_s", "median_s", "last_s", "full_at", "on_form", "store_per_s")


def plan(room: LiveRoom, old: Policy, new: Policy, shown_per_s: float | None) -> dict[str, Any]:
    """Return the plan of a change; ``shown_per_s`` is what the store takes, None where unknown.

    Raises:
        PortUnavailableError: the room has not been seen yet.
    """
    snapshot = room.current()
    known = habits(snapshot, room.advance.per_s(pacing.LONG_US))
    held = snapshot.rate_milli_per_s
    is_held = old.is_steered and held < old.rate_milli_per_s
    before, after = (
        forecast(snapshot, policy, known, held_milli=held if is_held else 0)
        for policy in (old, new)
    )
    return {
        "at": iso(room.now_us(), room.programme.zone),
        "now": _told(room, before),
        "after": _told(room, after),
        "store_shown_per_s": shown_per_s,
        "is_measured": known.is_measured,
        "warnings": _warnings(room, new, before, after, shown_per_s),
    }


def key_figures(planned: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return what a change was expected to bring, in short."""
    now, after = planned["now"], planned["after"]
    return {name: {"now": now[name], "after": after[name]} for name in KEY_FIGURES}


def _told(room: LiveRoom, one: Forecast) -> dict[str, Any]:
    now_us, zone = room.now_us(), room.programme.zone
    full_at = None if one.full_in_s is None else iso(now_us + round(one.full_in_s * 1e6), zone)
    return asdict(one) | {"full_at": full_at}


def _warnings(
    room: LiveRoom, new: Policy, before: Forecast, after: Forecast, shown_per_s: float | None
) -> list[str]:
    snapshot = room.current()
    left_s = (new.closes_us(snapshot.closes_at_us) - room.now_us()) / 1e6
    held = after.rate_per_s
    told = {
        f"the form cap of {new.form_cap:,} would hold the rate at {held:.3g}/s; "
        f"form_cap={after.form_cap_needed} would not": after.held_by == "form_cap",
        f"the autopilot holds the rate at {held:.3g}/s": after.held_by == "autopilot",
        f"the store has shown {shown_per_s or 0:.3g}/s, and would get {after.store_per_s:.3g}/s": (
            shown_per_s and after.store_per_s > shown_per_s
        ),
        f"polls would be above their budget of {new.poll_budget_per_s:,}/s": (
            after.polls_per_s > new.poll_budget_per_s
        ),
        "people would be told a later time than they are now": (
            before.last_s and after.last_s and after.last_s[1] > before.last_s[1]
        ),
        "nobody would be let in: no time could be told": before.last_s and not after.last_s,
        "the wave closes at once, and for good": left_s <= 0 and snapshot.phase is not Phase.CLOSED,
        "the wave closes before the last in line would be called": (
            after.full_in_s is None and after.last_s and after.last_s[0] > left_s
        ),
        "more hold a receipt or a pass already than the quota would allow": (
            new.quota < snapshot.accepted + snapshot.outstanding
        ),
    }
    return [text for text, is_so in told.items() if is_so]
