"""Dashboards, alerts and runbooks speak of what is measured, and lead to what is written."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.measures import MEASURES

ROOT = Path(__file__).parent.parent
PROMETHEUS = ROOT / "config" / "prometheus"
DASHBOARDS = sorted((ROOT / "config" / "grafana").glob("*.json"))
ALERTS = (PROMETHEUS / "alerts.yml").read_text("utf-8")
OPERATIONS = (ROOT / "OPERATIONS.md").read_text("utf-8")
KNOWN = {measure.name: measure for measure in MEASURES}
RECORDED = set(re.findall(r"record: (\S+)", ALERTS))
NAMES = re.findall(r"alert: (\w+)", ALERTS)
ANCHORS = {
    re.sub(r"[^a-z0-9 _-]", "", title.lower()).replace(" ", "-")
    for title in re.findall(r"^#+ (.+)$", OPERATIONS, re.MULTILINE)
}
SCRAPED = {"wave", "instance", "job", "le"}  # labels that others put on


def panels() -> Iterator[tuple[str, dict[str, Any]]]:
    for path in DASHBOARDS:
        for panel in json.loads(path.read_text("utf-8"))["panels"]:
            yield path.stem, panel


def expressions() -> Iterator[str]:
    yield from re.findall(r"expr: (.+)", ALERTS)
    for path in DASHBOARDS:
        yield from re.findall(r'"expr": "(.+)"', path.read_text("utf-8").replace('\\"', "'"))


def base(name: str) -> str:
    """Return the metric of which a series of a histogram is told."""
    stripped = re.sub(r"_(bucket|count|sum)$", "", name)
    return stripped if name not in KNOWN and stripped in KNOWN else name


@pytest.mark.parametrize("expression", sorted(set(expressions())))
def test_every_series_that_is_asked_for_exists_with_its_labels(expression: str) -> None:
    asked = re.findall(r"\b(gateway[a-z0-9_:]+)(?:\{([^}]*(?:\{[^}]*\}[^}]*)?)\})?", expression)
    assert asked or expression in {"vector(1)", "up{job='gateway'} == 0", 'up{job="gateway"} == 0'}
    for name, selector in asked:
        if ":" in name:
            assert name in RECORDED
            continue
        assert base(name) in KNOWN, name
        labels = set(re.findall(r"(\w+)(?==~?|!=)", selector))
        assert labels <= {*KNOWN[base(name)].labels, *SCRAPED}, (name, labels)


def test_every_metric_is_shown_on_a_dashboard_or_watched_by_an_alert() -> None:
    text = " ".join(expressions())
    unused = [name for name in KNOWN if not re.search(rf"\b{name}(_bucket)?\b", text)]
    assert unused == ["gateway_tickets_ended_total", "gateway_wave_opens_timestamp_seconds"]


@pytest.mark.parametrize("name", NAMES)
def test_every_alert_says_what_is_wrong_and_leads_to_its_runbook(name: str) -> None:
    block = ALERTS.split(f"alert: {name}\n")[-1].split(f"alert: {name} ")[-1].split("- alert:")[0]
    assert re.search(r"severity: (page|ticket|none)", block)
    assert "summary:" in block
    anchor = re.search(r"runbook: OPERATIONS\.md#(\S+)", block)
    assert anchor is not None
    assert anchor[1] == name.lower()
    assert anchor[1] in ANCHORS, f"OPERATIONS.md has no heading for {name}"


def test_every_runbook_has_an_alert() -> None:
    runbooks = re.findall(r"^### (\w+)$", OPERATIONS.partition("## Runbooks")[2], re.MULTILINE)
    assert sorted(runbooks) == sorted(NAMES)


def test_panels_have_a_unit_a_runbook_and_a_place_of_their_own() -> None:
    taken = set[tuple[str, int, int]]()
    for board, panel in panels():
        assert panel["fieldConfig"]["defaults"]["unit"], panel["title"]
        anchor = panel["description"].partition("OPERATIONS.md#")[2]
        assert anchor in ANCHORS, (board, panel["title"], anchor)
        grid = panel["gridPos"]
        cells = {
            (board, x, y)
            for x in range(grid["x"], grid["x"] + grid["w"])
            for y in range(grid["y"], grid["y"] + grid["h"])
        }
        assert not cells & taken, panel["title"]
        assert grid["x"] + grid["w"] <= 24
        taken |= cells
    assert {path.stem for path in DASHBOARDS} == {"launch", "machines", "store"}


@pytest.mark.parametrize(
    "words",
    [
        ("check", "rules", "alerts.yml"),
        ("check", "config", "prometheus.yml"),
        ("test", "rules", "alerts.test.yml"),
    ],
    ids=" ".join,
)
def test_promtool_is_content(words: tuple[str, ...]) -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("no promtool on this machine: apt-get install prometheus")
    done = subprocess.run(
        [promtool, *words], cwd=PROMETHEUS, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
