"""Which rate is in force, and who may set it? The operator's, or less while the autopilot holds it.

The policy stays the operator's document: what the autopilot sets stands beside it and never raises it.
Setting takes a lease whose fence only grows, so one that slept through its lease is refused (Kleppmann,
"How to do distributed locking"). An autopilot that fell silent leaves the floor.

Twins: ``redis/scripts/step.lua``, ``steer.lua`` and ``lease.lua``.
"""

from dataclasses import dataclass

from gateway.core.policy import Policy

UNSTEERED_US_MAX = 15_000_000  # a new holder needs a few seconds; later nobody steers


@dataclass(slots=True)
class Steering:
    """What the autopilot has set for one wave."""

    milli_per_s: int = 0  # 0: nothing yet
    unsteered_us: int = 0  # since then, in clamped steps
    fence: int = 0  # of who set it

    def in_force_milli_per_s(self, policy: Policy) -> int:
        """Return the rate that the bucket goes by."""
        if not policy.is_steered or self.milli_per_s == 0:
            return policy.rate_milli_per_s
        silent = self.unsteered_us > UNSTEERED_US_MAX
        held = policy.floor_milli_per_s if silent else self.milli_per_s
        return min(policy.rate_milli_per_s, held)

    def step(self, policy: Policy, elapsed_us: int) -> None:
        """Let time pass. It is bounded: longer than too long is too long."""
        passed_us = elapsed_us if policy.is_steered else 0
        self.unsteered_us = min(self.unsteered_us + passed_us, UNSTEERED_US_MAX + 1)

    def steer(self, fence: int, milli_per_s: int) -> bool:
        """Set the rate, unless a later lease is in use."""
        if fence < self.fence:
            return False
        self.milli_per_s, self.unsteered_us, self.fence = milli_per_s, 0, fence
        return True


@dataclass(slots=True)
class Lease:
    """Who of all deliveries steers."""

    holder: str = ""
    fence: int = 0
    until_us: int = 0

    def take(self, holder: str, life_us: int, now_us: int) -> int:
        """Take or renew it; return the fence, 0 where another holds it."""
        # An end further off than a whole life is proof that the clock went back.
        is_held = now_us < self.until_us <= now_us + life_us
        if holder != self.holder:
            if is_held:
                return 0
            self.fence = max(self.fence + 1, now_us)
        self.holder, self.until_us = holder, now_us + life_us
        return self.fence
