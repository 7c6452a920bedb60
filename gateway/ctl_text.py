"""How does a gateway look on an operator's terminal? Documents in, lines out."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import click

from gateway.ctl_next import suggestion

Document = Mapping[str, Any]
ZONES = {7: "WIB", 8: "WITA", 9: "WIT"}
COLOURS = {"open": "green", "prequeue": "cyan", "paused": "yellow", "recovering": "red"}
TEXT_MAX = 60  # of a text as it is told; ``--json`` tells it whole
NAMES = {"rate_per_s": "rate"}  # said so by its own command


def status_text(status: Document, waves: Sequence[Document]) -> str:
    """Return how waves and processes stand."""
    now = datetime.fromisoformat(status["at"])
    blocks = [_wave_text(wave, now) for wave in waves]
    return "\n\n".join([*blocks, _processes_text(status)])


def _wave_text(wave: Document, now: datetime) -> str:
    if wave["phase"] is None:
        return f"{wave['wave']}  not seen yet"
    word = click.style(wave["phase"].upper(), fg=COLOURS.get(wave["phase"]), bold=True)
    first = f"{wave['wave']}  {word}  {_when(wave, now)}"
    if wave["phase"] == "closed" and not wave["issued"]:
        return first
    policy = wave["policy"]
    people = [
        f"waiting {wave['waiting']:,}",
        f"on form {wave['outstanding']:,} of {policy['form_cap']:,}",
        f"registered {wave['accepted']:,} of {policy['quota']:,}",
        f"pending {wave['backlog']:,}",
    ]
    pace = [f"rate {policy['rate_per_s']:g}/s (burst {policy['burst']})"]
    if wave["advance_per_s"] is not None:
        pace.append(f"called {wave['advance_per_s']:.1f}/s")
    if wave["last_eta_s"] is not None and wave["waiting"]:
        ends = (("first", "next"), ("median", "median"), ("last", "last in line"))
        known = [(said, wave.get(f"{who}_eta_s")) for who, said in ends]
        pace += [f"{said} {_range(eta_s)}" for said, eta_s in known if eta_s]
    pace.append(f"revision {wave['revision']}")
    lines = [first, "   ".join(people), "   ".join(pace), "   ".join(_wait_facts(wave))]
    lines += _in_force(wave)
    if wave["missing"]:
        lines.append(f"✖ {wave['missing']:,} acknowledged registrations could not be found again")
    return "\n  ".join(lines)


def _range(eta_s: Sequence[float]) -> str:
    return " to ".join(map(duration, eta_s))


def _in_force(wave: Document) -> Iterator[str]:
    """Say what is not as usual: who holds the rate, what is shut, what goes back, what pages show."""
    policy, flown, timer = wave["policy"], wave.get("autopilot"), wave.get("timer")
    if flown:
        yield f"autopilot {flown['regime']} at {flown['rate_per_s']:.3g}/s: {flown['reason']}"
    elif policy.get("autopilot") == "auto":
        yield "autopilot: no delivery steers"
    if policy.get("joins_paused"):
        yield "nobody new is taken: gateway ctl intake open"
    if timer:
        back = ", ".join(f"{n} {value_text(n, v)}" for n, v in timer["fields"].items())
        yield f"at {timer['until'][11:16]} back to {back}"
    if policy["message"]:
        yield f"message: {policy['message']}"


def _wait_facts(wave: Document) -> list[str]:
    """Say how much the waiting ask, against what they were told and may, and whether it came true."""
    polls = f"polls {wave['polls_per_s']:,.0f}/s, expected {wave['polls_expected_per_s']:,.0f}/s"
    facts = [f"{polls}, budget {wave['policy']['poll_budget_per_s']:,}/s"]
    if wave["eta_honesty"] is not None:
        facts.append(f"told waits kept {wave['eta_honesty']:.0%}")
    return facts


def _when(wave: Document, now: datetime) -> str:
    """Say when the wave opens or closes next, or closed."""
    early = wave["phase"] in {"scheduled", "prequeue"}
    word, at = ("opens", wave["opens_at"]) if early else ("closes", wave["closes_at"])
    instant = datetime.fromisoformat(at)
    left_s = (instant - now).total_seconds()
    if left_s < 0:
        return f"closed {_clock(instant)}" if wave["phase"] == "closed" else f"{word} now"
    told = f"{word} {_clock(instant)}, in {duration(left_s)}"
    since = datetime.fromisoformat(wave["since"]) if wave.get("since") else None
    if since is None or since > now or wave["phase"] == "closed":
        return told
    return f"{told}   {wave['phase']} since {since:%H:%M} {zone_of(since)}"


def _clock(instant: datetime) -> str:
    return f"{instant:%a %d %b %Y %H:%M} {zone_of(instant)}"


def zone_of(instant: datetime) -> str:
    """Return the name of the instant's zone."""
    hours = (instant.utcoffset() or timedelta()).total_seconds() / 3600
    return ZONES.get(int(hours), instant.strftime("%z"))


def duration(seconds: float) -> str:
    """Return a length of time in its two largest units."""
    minutes = round(seconds / 60)
    if seconds < 60:
        return f"{round(seconds)} s"
    if minutes < 60:
        return f"{minutes} min"
    if minutes < 48 * 60:
        return f"{minutes // 60} h {minutes % 60} min"
    return f"{minutes // 1440} days {minutes % 1440 // 60} h"


def _processes_text(status: Document) -> str:
    ages_s = [wave["age_s"] for wave in status["waves"] if wave["age_s"] is not None]
    count = len(status["processes"])
    facts = [
        f"{count} process{'' if count == 1 else 'es'}",
        f"snapshot {max(ages_s):.1f} s old" if ages_s else "no snapshot yet",
        "accepting" if status["accepting"] else click.style("not accepting", fg="red", bold=True),
    ]
    for row in status.get("deliveries", ()):
        told = row["delivery"]
        speed = (
            "not measured" if told["capacity_per_s"] is None else f"{told['capacity_per_s']:.3g}/s"
        )
        facts.append(f"store {speed}, circuit {told['circuit']}")
    traffic = _traffic_text(status.get("traffic"))
    shed = _shedding_text(status)
    troubles = [line for line in (traffic, shed) if line]
    troubles += [f"✖ {reason}" for reason in status["reasons"]]
    troubles += [f"✖ {alarm}" for alarm in status.get("alarms", ())]
    notices = [f"! {notice}" for notice in status["notices"]]
    nexts = [f"next: {command}"] if (command := suggestion(status)) else []
    return "\n".join([", ".join(facts), *troubles, *notices, *nexts])


def _traffic_text(traffic: Mapping[str, float] | None) -> str:
    """Say what came to all processes in the last second, and what became of it."""
    kinds = ("pages", "polls", "shed", "throttled")
    told = [f"{kind} {traffic[f'{kind}_per_s']:,.0f}" for kind in kinds] if traffic else []
    return f"hits {traffic['hits_per_s']:,.0f}/s: {', '.join(told)}" if traffic else ""


def _shedding_text(status: Document) -> str:
    """Say what the process that refuses most is short of; nothing while nobody is refused."""
    told = [row["shedding"] for row in status["processes"] if row.get("shedding")]
    worst = min(told, key=lambda state: state["threshold"], default=None)
    if worst is None or worst["threshold"] == 1.0:
        return ""
    by, signals = worst["thresholds"], worst["signals"]
    shed = ", ".join(f"{rank} {count:,}" for rank, count in worst["shed"].items() if count)
    facts = [
        f"! shedding: {worst['threshold']:.0%} of ranks let in",
        f"lag {signals['lag_s'] * 1000:.1f} of {by['lag_ms']} ms",
        f"in flight {worst['pending']} of {worst['in_flight_max']}",
        f"memory free {signals['memory_free_ratio']:.0%}",
        f"descriptors free {signals['descriptors_free_ratio']:.0%}",
    ]
    return ", ".join([*facts, f"refused so far: {shed}"] if shed else facts)


def changes_text(changes: Document) -> str:
    """Return "rate 10/s → 25/s, burst 10 → 5"."""
    return ", ".join(
        f"{NAMES.get(name, name)} {value_text(name, pair['before'])}"
        f" → {value_text(name, pair['after'])}"
        for name, pair in changes.items()
    )


def value_text(name: str, value: Any) -> str:
    """Return one value of a policy."""
    match value:
        case bool():
            return "yes" if value else "no"
        case str():
            return f'"{value if len(value) <= TEXT_MAX else value[: TEXT_MAX - 1] + "…"}"'
        case int() | float():
            text = (
                f"{value:,.3f}".rstrip("0").rstrip(".")
                if isinstance(value, float)
                else f"{value:,}"
            )
            return f"{text}/s" if name.endswith("_per_s") else text
        case _:
            return str(value)


def told_value(value: Any) -> str:
    """Return a value as it is to be repeated."""
    return f"{value:g}" if isinstance(value, int | float) else str(value)


def policy_text(wave_id: str, revision: int, policy: Document) -> str:
    """Return a policy as a table."""
    rows = [f"  {name:<29}{value_text(name, value)}" for name, value in policy.items()]
    return "\n".join([f"{wave_id}  revision {revision}", *rows])


def letters_text(letters: Sequence[Document]) -> str:
    """Return dead letters as a table, oldest first."""
    if not letters:
        return "no dead letters"
    header = ("WAVE", "ID", "REASON", "TRIES", "ACCEPTED", "DEAD FOR")
    rows = [
        (
            letter["wave"],
            letter["id"],
            letter["reason"],
            str(letter["tries"]),
            f"{duration(letter['age_s'])} ago",
            duration(letter["dead_s"]),
        )
        for letter in letters
    ]
    return table([header, *rows])


def sweep_text(name: str, sweep: Document) -> str:
    """Return what a comparison with the store has found."""
    found = f"{sweep['lost']:,} not in the store" if sweep["lost"] else "all in the store"
    return f"{name}: {sweep['checked']:,} receipts compared in {sweep['cost_s']:.1f} s, {found}"


def table(rows: Sequence[Sequence[str]]) -> str:
    """Return rows with their columns one below the other."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )
