"""The documents tell the truth: every problem, policy field, metric, setting and endpoint is in them."""

import json
import re
from pathlib import Path

import msgspec
import pytest

from gateway.core.policy import BOUNDS
from gateway.measures import MEASURES
from gateway.ports import Recording
from gateway.settings import Store
from gateway.simulation.arrivals import SENT
from gateway.stores import http_contract
from gateway.web.catalogue import CATALOGUE
from gateway.web.endpoints import ENDPOINTS
from loadtests.rehearsal.trouble import TROUBLES
from loadtests.scenario import table

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


def test_the_contract_of_the_http_store_is_shown_as_it_is_spoken() -> None:
    request, reply = re.findall(r"```json\n(.+?)```", DOCUMENTS["OPERATIONS.md"], re.DOTALL)
    sent = msgspec.json.decode(request, type=http_contract.Batch, strict=True).registrations[0]
    assert json.loads(request)["registrations"][0].keys() == set(sent.__struct_fields__)
    said = msgspec.json.decode(reply, type=http_contract.Outcomes).outcomes[0]
    assert (said.receipt, said.recording) == (sent.receipt, Recording.REJECTED)
    assert http_contract.REASON.fullmatch(said.reason)


@pytest.mark.parametrize("key", [f.name for f in msgspec.structs.fields(Store)])
def test_every_setting_of_the_store_is_explained_to_operators(key: str) -> None:
    assert f"`store.{key}`" in DOCUMENTS["OPERATIONS.md"]


def test_a_rehearsal_is_summed_up_for_newcomers() -> None:
    [(profile, machine, plain, troubled)] = re.findall(
        r"Rehearsed in full \(`(.+?)`, .+?\) on (.+?); GREEN.+?"
        r"\| requests answered \| ([\d,]+) in .+? \| ([\d,]+), ",
        DOCUMENTS["README.md"].replace("\n", " "),
    )
    assert profile in SENT
    assert "cores" in machine
    assert min(int(many.replace(",", "")) for many in (plain, troubled)) >= 1_300_000


def test_the_shapes_that_are_rehearsed_are_shown_as_they_are() -> None:
    assert "\n".join(table()) in DOCUMENTS["OPERATIONS.md"]


@pytest.mark.parametrize("name", TROUBLES)
def test_every_trouble_of_a_rehearsal_is_explained_to_operators(name: str) -> None:
    assert f"| `{name}` | {TROUBLES[name].note} |" in DOCUMENTS["OPERATIONS.md"]
