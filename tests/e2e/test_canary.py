"""I-40: what an applicant sends is found nowhere that it does not belong."""

import json
import urllib.error
import urllib.parse
import urllib.request
from typing import Any

import pytest
import redis

from gateway.settings import load_settings
from tests.applicants import Applicant, call, nik
from tests.gateways import RunningGateway, a_gateway
from tests.support import wait_for

pytestmark = pytest.mark.timeout(120)

NAME, NIK, PHONE, MAIL = "Kenari Zqxjvwk", nik(4_242), "081299887766", "zqxjvwk@kenari.example"
CANARIES = ("Zqxjvwk", NIK, NIK[2:], PHONE, "zqxjvwk@kenari", "kenari.example")


def answer(url: str, method: str, body: bytes | None, headers: dict[str, str]) -> tuple[int, str]:
    """Send bytes as they are; return the status and everything that comes back."""
    request = urllib.request.Request(url, method=method, data=body, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=10) as got:
            return got.status, f"{got.headers} {got.read().decode(errors='replace')}"
    except urllib.error.HTTPError as error:
        with error:
            return error.code, f"{error.headers} {error.read().decode(errors='replace')}"


def bodies() -> list[tuple[bytes, str]]:
    """Return forms of which none is right, with their media types."""
    form: dict[str, Any] = {"nik": NIK, "name": NAME}
    wrong = [
        form | {"phone": PHONE, "email": MAIL},
        form | {"name": [NAME]},
        form | {"nik": int(NIK)},
        {NAME: NIK, NIK: NAME},
        {"nik": f"{NIK}0", "name": f"{NAME}\u202e"},
    ]
    raw = [json.dumps(each).encode() for each in wrong]
    raw += [
        raw[0][:-2],
        b'{"nik": "' + NIK.encode() + b'", "nik": "1"}',
        NIK.encode(),
        b"\xff" + NAME.encode(),
    ]
    typed = [(each, "application/json") for each in raw]
    return [
        *typed,
        (urllib.parse.urlencode(form).encode(), "application/x-www-form-urlencoded"),
        (raw[0], "text/plain"),
    ]


def try_everything(gateway: RunningGateway, held: str) -> list[str]:
    """Send the canaries where they do not belong; return what came back."""
    base, wave = gateway.public_url, gateway.wave
    said = []
    bearer = gateway.credential_file.read_text().strip()
    operators = {
        "Authorization": f"Bearer {bearer}",
        "Content-Type": "application/json",
        "If-Match": "1",
    }
    for body, kind in bodies():
        for path in ("registrations", "tickets", "pass", "pass/extension"):
            headers = {"Authorization": f"Bearer {held}", "Content-Type": kind}
            said.append(answer(f"{base}/v1/waves/{wave}/{path}", "POST", body, headers)[1])
        said.append(
            answer(f"{gateway.operator_url}/v1/waves/{wave}/policy", "PUT", body, operators)[1]
        )
        said.append(
            answer(f"{gateway.operator_url}/v1/dead-letters/retry", "POST", body, operators)[1]
        )
    for place in (NIK, urllib.parse.quote(NAME), urllib.parse.quote(MAIL)):
        paths = (
            f"/v1/waves/{place}/board",
            f"/v1/registrations/{place}",
            f"/{place}",
            f"/?q={place}",
        )
        said += [answer(base + path, "GET", None, {})[1] for path in paths]
        said.append(answer(f"{gateway.operator_url}/v1/tickets/{place}", "GET", None, operators)[1])
    shown: list[dict[str, str]] = [
        {"Authorization": f"Bearer {NIK}"},
        {"Cookie": f"ticket.{wave}={NIK}"},
        {"X-Reason": NAME},
    ]
    url = f"{base}/v1/waves/{wave}/place"
    return said + [answer(url, "GET", None, headers)[1] for headers in shown]


def everything_told(gateway: RunningGateway) -> dict[str, str]:
    """Return all that operators, Prometheus and whoever reads the log can see."""
    bearer = gateway.credential_file.read_text().strip()
    told = {
        path: str(call(gateway.operator_url + path, bearer=bearer)[1])
        for path in ("/v1/status", "/v1/audit", "/v1/dead-letters")
    }
    told["/metrics"] = answer(f"{gateway.operator_url}/metrics", "GET", None, {})[1]
    settings = load_settings(gateway.folder / "gateway.toml", {})
    with redis.Redis(unix_socket_path=f"{settings.data.dir}/valkey.sock") as client:
        told["keys"] = str(client.keys("*"))
        told["slow log"] = str(client.slowlog_get(128))
    told["log"] = "\n".join(gateway.lines)
    return told


def test_i40_canaries_stand_in_no_log_metric_answer_audit_or_key() -> None:
    with a_gateway(opens_at="+1s", rate_per_s=50.0, burst=10) as gateway:
        applicant = Applicant(gateway.public_url, gateway.wave, 4_242)
        applicant.join()
        applicant.wait_for_turn()
        applicant.claim()
        said = try_everything(gateway, applicant.held)
        form = {"nik": NIK, "name": NAME}
        status, registered = call(applicant.url("registrations"), "POST", form, applicant.held)
        assert status == 201, registered
        applicant.receipt = registered["receipt"]
        wait_for(lambda: applicant.receipt_state() == "recorded", what="it is recorded")
        said += [
            str(registered),
            answer(f"{gateway.public_url}/v1/registrations/{applicant.receipt}", "GET", None, {})[
                1
            ],
        ]
        told = everything_told(gateway)
        again = {"nik": NIK, "name": f"{NAME} lain"}
        said.append(str(call(applicant.url("registrations"), "POST", again, applicant.held)[1]))
    told["log"] += "\n".join(gateway.lines)  # what was said at the end, too
    told |= {f"answer {number}": text for number, text in enumerate(said)}
    found = {place: canary for place, text in told.items() for canary in CANARIES if canary in text}
    assert found == {}
    assert applicant.receipt not in told["log"] + told["/metrics"] + told["/v1/audit"]
    assert '"why":"policy-invalid"' in told["log"], "the log was there to be read"
