"""Which form does the next applicant send? The wave's own, filled in once; another NIK for each.

Filling each in anew, as the load test does, would cost this client more than sending it.
"""

import json
import urllib.request
from collections.abc import Iterator, Mapping

import orjson

from loadtests.applicants import DISTRICTS, REGENCIES, SERIALS, fill, make_person
from loadtests.goodput.way import API
from loadtests.scenario import Scenario
from loadtests.system import ANSWER_S_MAX


def forms(url: str) -> Iterator[bytes]:
    """Return forms, no two of one person."""
    with urllib.request.urlopen(f"{url}{API}/form", timeout=ANSWER_S_MAX) as answer:  # noqa: S310  our own
        schema = json.load(answer)
    return forms_of(fill(schema, make_person(Scenario("smoke", people=1), 0)))


def forms_of(values: Mapping[str, str]) -> Iterator[bytes]:
    """Yield a form again and again, with another NIK each time."""
    nik = values["nik"]
    before, _, after = orjson.dumps(values).partition(nik.encode())
    for regency in range(1, REGENCIES + 1):
        for district in range(1, DISTRICTS + 1):
            for serial in range(1, SERIALS + 1):
                own = f"{nik[:2]}{regency:02}{district:02}{nik[6:12]}{serial:04}"
                yield before + own.encode() + after
