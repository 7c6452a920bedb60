"""An applicant for end-to-end tests: plain HTTP, one request at a time, as told by the answers."""

import json
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from typing import Any

from tests.support import wait_for

VALUES = {"nik": "3201014507900007", "name": "Dewi Lestari"}


def nik(person: int) -> str:
    """Return a well-formed NIK, another for each person below 9,999."""
    return f"320101450790{person + 1:04}"


def call(
    url: str, method: str = "GET", body: Any = None, bearer: str | None = None
) -> tuple[int, Any]:
    """Send one request; return status and JSON document, whatever the status."""
    headers = {"Content-Type": "application/json"}
    if bearer:
        headers["Authorization"] = f"Bearer {bearer}"
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, method=method, data=data, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, json.loads(answer.read() or b"null")
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.loads(error.read() or b"null")


def ask(
    url: str, method: str = "GET", body: Any = None, bearer: str | None = None
) -> tuple[int, Any]:
    """Send a request again while the answer is 503: a patient client."""
    answer: list[tuple[int, Any]] = []

    def is_answered() -> bool:
        answer.append(call(url, method, body, bearer))
        return answer[-1][0] != 503

    wait_for(is_answered, timeout_s=15, what=f"{method} {url} is answered")
    return answer[-1]


@dataclass
class Applicant:
    """One person with one browser."""

    base: str
    wave: str
    person: int = 0
    ticket: str = ""
    held: str = ""  # the pass
    receipt: str = ""
    place: dict[str, Any] = field(default_factory=dict)
    next_look_s: float = 0.0  # monotonic: ten times the told pace is the limit

    def url(self, path: str) -> str:
        return f"{self.base}/v1/waves/{self.wave}/{path}"

    def join(self) -> dict[str, Any]:
        status, document = ask(self.url("tickets"), "POST", bearer=self.ticket or None)
        assert status in (200, 201), document
        self.ticket = document["ticket"]
        answer: dict[str, Any] = document
        return answer

    def look(self) -> str:
        time.sleep(max(0.0, self.next_look_s - time.monotonic()))
        status, self.place = ask(self.url("place"), bearer=self.ticket)
        assert status == 200, self.place
        self.next_look_s = time.monotonic() + float(self.place["poll_s"]) / 5
        return str(self.place["state"])

    def wait_for_turn(self) -> None:
        """Poll, faster than told but within the limit, until called."""
        wait_for(lambda: self.look() == "called", timeout_s=30, what="the applicant is called")

    def claim(self) -> None:
        """Ask for a pass until one is given."""

        def has_pass() -> bool:
            status, document = call(self.url("pass"), "POST", bearer=self.ticket)
            assert status in (200, 201, 202, 503), document
            if status in (202, 503):
                return False
            self.held = document["pass"]
            return True

        wait_for(has_pass, timeout_s=30, what="the applicant has a pass")

    def register(self) -> tuple[int, Any]:
        values = {"nik": nik(self.person), "name": f"Orang {self.person}"}
        status, document = ask(self.url("registrations"), "POST", values, self.held)
        if status == 201:
            self.receipt = document["receipt"]
        return status, document

    def receipt_state(self) -> str:
        status, document = ask(f"{self.base}/v1/registrations/{self.receipt}")
        assert status == 200, document
        return str(document["state"])
