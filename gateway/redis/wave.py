"""One wave's scripts behind one address: keys, epoch and arguments in the order the headers say."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gateway.core.policy import Policy, to_document
from gateway.core.programme import Moment, Wave
from gateway.redis.channel import Channel
from gateway.redis.keys import room_keys

GROUP = "deliver"  # the consumer group of every intake


@dataclass(frozen=True, slots=True)
class WaveScripts:
    """Runs scripts on the keys of one wave."""

    prefix: str
    wave: Wave

    @property
    def keys(self) -> tuple[str, ...]:
        """Return the KEYS of every room script."""
        return room_keys(self.prefix, self.wave.programme_id, self.wave.id)

    async def run(
        self, channel: Channel, name: str, fence: str, args: Sequence[str | bytes | int] = ()
    ) -> Any:
        """Run one script behind ``fence`` (empty: whatever the room has)."""
        return await channel.run(name, self.keys, [fence, *args])


def policy_numbers(policy: Policy) -> list[str | int]:
    """Return what scripts must know of a policy, as the name, value, … list that they take."""
    numbers: dict[str, str | int] = {
        "rate_milli_per_s": policy.rate_milli_per_s,
        "burst": policy.burst,
        "form_cap": policy.form_cap,
        "quota": policy.quota,
        "pass_ttl_us": policy.pass_ttl_s * 1_000_000,
        "check_in_us": policy.check_in_s * 1_000_000,
        "intake_cap": policy.intake_cap,
        "intake_age_us": policy.intake_age_s * 1_000_000,
        "autopilot": int(policy.is_steered),
        "floor_milli_per_s": policy.floor_milli_per_s,
        "paused": int(policy.paused),
        "closing_us": policy.closing_us,
        "joins_paused": int(policy.joins_paused),
        "beacon": policy.beacon,
    }
    return [part for pair in numbers.items() for part in pair]


def policy_text(policy: Policy) -> str:
    """Return the policy document as it is kept."""
    return json.dumps(to_document(policy), sort_keys=True)


def timer_text(timer: Mapping[str, Any] | None) -> str:
    """Return what goes back by itself as it is kept; empty: nothing does."""
    return json.dumps(timer, sort_keys=True) if timer else ""


def moment_text(moment: Moment) -> str:
    """Return an instant, or with a leading ``+`` a distance from the making of the room."""
    return f"+{moment.us}" if moment.relative else str(moment.us)
