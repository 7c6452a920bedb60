"""What is a request told that is refused before anybody has read it? One of the answers made beforehand."""

import secrets
from itertools import cycle

from gateway.web.negotiation import SPOKEN, Language
from gateway.web.problems import Problem, tell
from gateway.web.wire_format import serialize

REFUSALS = 64  # made beforehand for each language
RETRY_MS_MIN, RETRY_MS_STEP = 2_000, 125  # so they spread over 8 s
STRIDE = 37  # consecutive ones are far apart; prime to REFUSALS, so that all take their turn


class Refusals:
    """Whole answers with one problem. The connection stays open."""

    def __init__(self, code: str, problem_base: str) -> None:
        self._made = {language: cycle(_make(code, problem_base, language)) for language in SPOKEN}

    def next(self, language: Language, date: bytes) -> bytes:
        """Return the next one."""
        head, body = next(self._made[language])
        return head % date + body


def _make(code: str, base: str, language: Language) -> list[tuple[bytes, bytes]]:
    """Return heads with a gap for the date, and their bodies."""
    made = []
    for turn in range(REFUSALS):
        retry_in_ms = RETRY_MS_MIN + RETRY_MS_STEP * (turn * STRIDE % REFUSALS)
        response = tell(Problem(code), base, language, secrets.token_hex(8), retry_in_ms)
        head, separator, body = serialize(response, b"%b").partition(b"\r\n\r\n")
        made.append((head + separator, body))
    return made
