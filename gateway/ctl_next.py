"""What could an operator do next? One command to try, where the store was seen to take more.

Only a rate that people wait for and that nothing else holds down is worth raising, and only with one wave
running: the store's capacity is all waves'. A step of more than half would need a confirmation, so it is
never suggested. It is a dry run: the plan says what else it would bring.
"""

import math
from collections.abc import Mapping
from typing import Any

from gateway.core.autopilot import TARGET
from gateway.core.policy_change import RUNNING, STEP_RATIO_MAX

WORTH_RATIO = 1.1  # of the rate in force: less is within what the capacity varies by


def suggestion(status: Mapping[str, Any]) -> str | None:
    """Return the command and why, or None where nothing is known to be better than what is."""
    running = [wave for wave in status["waves"] if wave["phase"] in RUNNING]
    if len(running) != 1 or running[0]["phase"] != "open" or not running[0]["waiting"]:
        return None
    wave, told = running[0], [row["delivery"] for row in status.get("deliveries", ())]
    known = [each["capacity_per_s"] for each in told if each["circuit"] == "closed"]
    if not known or len(known) < len(told) or None in known:
        return None
    rate_per_s, capacity_per_s = wave["policy"]["rate_per_s"], sum(known)
    if wave["rate_per_s"] < rate_per_s or wave["outstanding"] >= wave["policy"]["form_cap"]:
        return None  # the autopilot holds it, or those on the form do
    could_be = min(TARGET * capacity_per_s, (1 + STEP_RATIO_MAX) * rate_per_s)
    could_be = math.floor(could_be * 10) / 10
    if could_be < WORTH_RATIO * rate_per_s:
        return None
    command = f"gateway ctl rate {could_be:g} --wave {wave['wave']} --dry-run"
    return f"{command}    # the store takes {capacity_per_s:.3g}/s"
