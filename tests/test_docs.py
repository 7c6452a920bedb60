"""The documents tell the truth: every problem, policy field, metric, setting and endpoint is in them."""

import re
from pathlib import Path

import pytest

from gateway.core.policy import BOUNDS
from gateway.measures import MEASURES
from gateway.web.catalogue import CATALOGUE
from gateway.web.endpoints import ENDPOINTS

ROOT = Path(__file__).parent.parent
DOCUMENTS = {path.name: path.read_text("utf-8") for path in ROOT.glob("*.md")}


@pytest.mark.parametrize("code", CATALOGUE)
def test_every_problem_is_in_the_readme(code: str) -> None:
    assert f"| `{code}` | {CATALOGUE[code].status} |" in DOCUMENTS["README.md"]


@pytest.mark.parametrize("name", BOUNDS)
def test_every_policy_field_is_explained_to_operators(name: str) -> None:
    assert f"| `{name}` |" in DOCUMENTS["OPERATIONS.md"]


@pytest.mark.parametrize("measure", MEASURES, ids=lambda m: m.name)
def test_every_metric_is_documented(measure: object) -> None:
    assert f"| `{measure.name}` |" in DOCUMENTS["OPERATIONS.md"]  # type: ignore[attr-defined]


def test_every_metric_that_is_named_exists() -> None:
    known = {measure.name for measure in MEASURES}
    for name, text in DOCUMENTS.items():
        for found in re.findall(r"`(gateway_[a-z_]+)`", text):
            assert found in known, f"{name} names {found}"


def test_links_between_documents_lead_somewhere() -> None:
    for name, text in DOCUMENTS.items():
        for target in re.findall(r"\]\(([^)#:]+)\)", text):
            assert (ROOT / target).exists(), f"{name} links to {target}"


def test_the_api_is_described() -> None:
    assert ENDPOINTS
    assert "GET /v1/openapi.json" in DOCUMENTS["README.md"]
