"""Is this a NIK? The structure of the Indonesian identity number, and nothing more.

Sixteen digits: province (2), regency (2), district (2), day, month and year of birth (2 each, the day
plus 40 for women), serial (4). Decree: Permendagri 95/2019 annex; province codes: Permendagri 72/2019 and
the four provinces of 2022. Nothing is decided from what the number says about a person.
"""

import re
from datetime import date

PROVINCES = frozenset(
    [
        "11",
        "12",
        "13",
        "14",
        "15",
        "16",
        "17",
        "18",
        "19",
        "21",
        "31",
        "32",
        "33",
        "34",
        "35",
        "36",
        "51",
        "52",
        "53",
        "61",
        "62",
        "63",
        "64",
        "65",
        "71",
        "72",
        "73",
        "74",
        "75",
        "76",
        "81",
        "82",
        "91",
        "92",
        "93",
        "94",
        "95",
        "96",
        "97",
    ]
)
WOMEN_DAY_OFFSET = 40
_DIGITS = re.compile(r"[0-9]{16}")


def is_nik(text: str) -> bool:
    """Say whether ``text`` has the structure of a NIK."""
    if not _DIGITS.fullmatch(text):
        return False
    province, regency, district, serial = text[:2], text[2:4], text[4:6], text[12:]
    if province not in PROVINCES or "00" in (regency, district) or serial == "0000":
        return False
    day, month, year = int(text[6:8]), int(text[8:10]), int(text[10:12])
    return _is_date(day - WOMEN_DAY_OFFSET if day > WOMEN_DAY_OFFSET else day, month, year)


def _is_date(day: int, month: int, year: int) -> bool:
    """Say whether the date exists in the last or in this century."""
    for century in (1900, 2000):
        try:
            date(century + year, month, day)
        except ValueError:
            continue
        return True
    return False
