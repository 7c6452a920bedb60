"""How does a plan look on a terminal? What is, beside what would be, and what could disappoint."""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

import click

from gateway.ctl_text import changes_text, told_value

Document = Mapping[str, Any]


def plan_text(answer: Document) -> str:
    """Return a plan as a table."""
    plan = answer["plan"]
    at = datetime.fromisoformat(plan["at"])
    first = f"dry run: {changes_text(answer['changes']) or 'as it is'}; nothing was changed"
    rows = [("", "now", "after")]
    rows += [(name, tell(plan["now"], at), tell(plan["after"], at)) for name, tell in ROWS.items()]
    lines = [first, *(f"  {name:<14}{now:<20}{after}".rstrip() for name, now, after in rows)]
    if not plan["is_measured"]:
        lines.append("  too few have registered so far: times on the form are assumed")
    lines += [click.style(f"  ⚠ {warning}", fg="yellow") for warning in plan["warnings"]]
    lines += [
        f"  ! {step['name']} is {step['why']}: it takes --confirm={told_value(step['value'])}"
        for step in answer["confirm"]
    ]
    return "\n".join(lines)


def _between(name: str) -> Callable[[Document, datetime], str]:
    def tell(forecast: Document, at: datetime) -> str:
        if forecast[name] is None:
            return "unknown"
        low, high = ((at + timedelta(seconds=s)).strftime("%H:%M") for s in forecast[name])
        return f"{low} to {high}"

    return tell


def _full(forecast: Document, _at: datetime) -> str:
    if forecast["full_at"] is None:
        return "not by these"
    return datetime.fromisoformat(forecast["full_at"]).strftime("%a %H:%M")


ROWS: Mapping[str, Callable[[Document, datetime], str]] = {
    "first in line": _between("first_s"),
    "median": _between("median_s"),
    "last in line": _between("last_s"),
    "places taken": _full,
    "admitted": lambda told, _: f"{told['rate_per_s']:.3g}/s",
    "on form": lambda told, _: f"{told['on_form']:,}",
    "store": lambda told, _: f"{told['store_per_s']:.3g}/s",
    "polls": lambda told, _: f"{told['polls_per_s']:,.0f}/s",
}
