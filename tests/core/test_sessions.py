"""Logins of the console: whose, how long, and that nobody makes one up."""

import pytest

from gateway.core.credentials import Operator, Role, enrol
from gateway.core.sessions import IDLE_S_MAX, LIFE_S_MAX, begin, find

NOW_S = 1_586_595_600
KEY = bytes(range(32))
NONCE = bytes(16)


def an_operator(role: Role = Role.OPERATOR, secret: int = 1) -> Operator:
    return enrol("rina", role, bytes([secret]) * 32, now_us=NOW_S * 1_000_000)[1]


RINA = an_operator()
TEXT = begin(RINA, NONCE, now_s=NOW_S).text(KEY, RINA)


def is_in(text: str, *, after_s: int = 0, key: bytes = KEY, who: Operator = RINA) -> bool:
    return find([who], key, text, now_s=NOW_S + after_s) is not None


def test_a_login_lasts_while_somebody_is_active_and_eight_hours_at_most() -> None:
    assert is_in(TEXT)
    assert is_in(TEXT, after_s=IDLE_S_MAX - 1)
    assert not is_in(TEXT, after_s=IDLE_S_MAX)
    session = begin(RINA, NONCE, now_s=NOW_S)
    for minute in range(10, 480, 10):
        touched = session.touched(NOW_S + minute * 60)
        assert touched is not None
        session = touched
        assert is_in(session.text(KEY, RINA), after_s=minute * 60)
    assert not is_in(session.text(KEY, RINA), after_s=LIFE_S_MAX)


def test_activity_is_written_down_once_a_minute() -> None:
    session = begin(RINA, NONCE, now_s=NOW_S)
    assert session.touched(NOW_S + 59) is None
    assert session.touched(NOW_S + 60) is not None


def test_a_wall_that_only_looks_is_not_logged_out_for_having_no_hands() -> None:
    wall = an_operator(Role.VIEWER)
    text = begin(wall, NONCE, now_s=NOW_S).text(KEY, wall)
    assert is_in(text, after_s=LIFE_S_MAX - 1, who=wall)
    assert not is_in(text, after_s=LIFE_S_MAX, who=wall)


def test_every_changed_character_ends_a_login() -> None:
    for place in range(len(TEXT)):
        typed = "0" if TEXT[place] != "0" else "1"
        assert not is_in(TEXT[:place] + typed + TEXT[place + 1 :]), place
    for other in ("", TEXT[:-1], TEXT + "0", TEXT.upper()):
        assert not is_in(other)


def test_a_revoked_renewed_or_expired_credential_ends_its_logins() -> None:
    assert find([], KEY, TEXT, now_s=NOW_S) is None
    assert not is_in(TEXT, who=an_operator(secret=2))
    assert not is_in(TEXT, after_s=91 * 86_400)


def test_without_the_deployments_key_there_are_no_logins() -> None:
    assert not is_in(TEXT, key=b"")
    assert not is_in(TEXT, key=bytes(32))
    with pytest.raises(ValueError, match="16 bytes"):
        begin(RINA, bytes(8), now_s=NOW_S)
