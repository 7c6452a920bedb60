"""What is left in the report's folder? The page with its plots, Locust's own, and the figures as JSON."""

import json
import os
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from jinja2 import Environment

from loadtests.pace import punctuality
from loadtests.rehearsal.plots import plots
from loadtests.rehearsal.sampling import usages
from loadtests.report import MIB, Seen, last_line, page
from loadtests.verdict import exit_code, findings

PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{{ title }}</title>
<style>
body { font: 16px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem }
pre { font-size: 12px; overflow-x: auto; background: #f6f6f6; padding: 1rem }
td, th { text-align: left; padding: .2rem .8rem .2rem 0; vertical-align: top }
.no { color: #b00020; font-weight: bold } svg { max-width: 100%; height: auto }
</style></head><body>
<h1>{{ title }}</h1>
<p>{{ summary }}</p>
<p><strong{% if code %} class="no"{% endif %}>{{ verdict }}</strong></p>
<table>{% for each in findings %}
<tr><td{% if not each.kept %} class="no"{% endif %}>{{ "kept" if each.kept else "BROKEN" }}</td>
<td>{{ each.promise }}</td><td>{{ each.detail }}</td></tr>{% endfor %}
</table>
{% for name, svg in plots %}<h2>{{ name }}</h2>
{{ svg | safe }}
{% endfor %}
<h2>In numbers</h2>
<pre>{{ page }}</pre>
<p>Locust's own: <a href="locust.html">report</a>
{%- for file in csv %}, <a href="{{ file }}">{{ file }}</a>{% endfor %}.
The figures: <a href="figures.json">figures.json</a>.</p>
</body></html>
"""
KEPT = ("locust.html", "locust_stats.csv", "locust_stats_history.csv", "locust_failures.csv")


def write(seen: Seen, run: Path, folder: Path) -> Path:
    """Write the report; return where it is."""
    folder.mkdir(parents=True, exist_ok=True)
    kept = [name for name in KEPT if (run / name).exists()]
    for name in kept:
        shutil.copy(run / name, folder / name)
    text = page(seen)
    (folder / "page.txt").write_text(text + "\n", "utf-8")
    document = json.dumps(figures(seen), indent=2)
    (folder / "figures.json").write_text(document + "\n", "utf-8")
    html = (
        Environment(autoescape=True)
        .from_string(PAGE)
        .render(
            title=f"Rehearsal: {seen.scenario.name}, {seen.totals.requests:,} requests",
            summary=summary(seen),
            code=exit_code(seen.evidence),
            verdict=last_line(seen.evidence).strip(),
            findings=findings(seen.evidence),
            plots=plots(seen),
            page=text,
            csv=[name for name in kept if name.endswith(".csv")],
        )
    )
    report = folder / "report.html"
    report.write_text(html, "utf-8")
    return report


def machine() -> str:
    """Say where and when."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / (1 << 30)
    return f"{os.cpu_count()} cores, {memory:.0f} GiB, {datetime.now(UTC):%d %B %Y}"


def summary(seen: Seen) -> str:
    """Return the run in one sentence, for the documents."""
    evidence, totals = seen.evidence, seen.totals
    troubled = "".join(f", {name}" for name in evidence.troubles)
    peak = max(counts["requests"] for counts in totals.seconds.values())
    place_ms, submit_ms = (
        totals.times(name=name).quantile_ms(0.99) for name in ("place", "submit")
    )
    return (
        f"Rehearsed on {machine()} (`{seen.scenario.name}`, {seen.store}{troubled}): "
        f"{totals.requests:,} requests by {seen.scenario.people:,} people in "
        f"{totals.ended_s - totals.began_s:,.0f} s, at most {peak:,} in one; "
        f"p99 of places {place_ms:.0f} ms, "
        f"of registrations {submit_ms:.0f} ms; {len(evidence.rows):,} registered; "
        f"{last_line(evidence).strip()}."
    )


def figures(seen: Seen) -> dict[str, Any]:
    """Return the figures of a run."""
    evidence, totals = seen.evidence, seen.totals
    before, inside, after = punctuality(evidence.terms, evidence.passes, evidence.stops_us)
    return {
        "summary": summary(seen),
        "profile": seen.scenario.name,
        "people": seen.scenario.people,
        "seed": seen.scenario.seed,
        "compression": seen.scenario.profile.compression,
        "store": seen.store,
        "machine": machine(),
        "troubles": list(evidence.troubles),
        "exit_code": exit_code(evidence),
        "verdict": last_line(evidence).strip(),
        "requests": totals.requests,
        "seconds": round(totals.ended_s - totals.began_s, 1),
        "busiest_second": max(counts["requests"] for counts in totals.seconds.values()),
        "words": dict(sorted(totals.words().items())),
        "ms": {name: totals.times(name=name).spread_ms() for name in sorted(evidence.answers)},
        "all_ms": totals.times().spread_ms(),
        "lags_ms": totals.lags.spread_ms(),
        "waits": {"before": before, "inside": inside, "after": after},
        "registered": len(evidence.rows),
        "admitted": evidence.admitted,
        "outcomes": dict(sorted(evidence.outcomes.items())),
        "processes": {
            name: {
                "cpu_mean": round(use.cpu_mean, 3),
                "cpu_most": round(use.cpu_most, 3),
                "memory_mib": round(use.memory_most_bytes / MIB, 1),
            }
            for name, use in usages(seen.samples).items()
        },
        "findings": {each.promise: [each.kept, each.detail] for each in findings(evidence)},
    }
