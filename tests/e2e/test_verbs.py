"""What operators say to a wave is done by every process of a real system, and told to applicants."""

import json
from datetime import datetime, timedelta
from statistics import median
from typing import Any

import pytest
from click.testing import CliRunner

from gateway.ctl import ctl
from tests.applicants import Applicant, call
from tests.gateways import RunningGateway, a_gateway
from tests.support import wait_for

pytestmark = pytest.mark.timeout(120)
WHY = ("--reason", "x", "--json")
DOOR_LOOKS = 20  # all of them at one door: two in a million


def ask(gateway: RunningGateway, *words: str) -> dict[str, Any]:
    """Have an operator ask; return the answer."""
    environ = {
        "GATEWAY_CTL_URL": gateway.operator_url,
        "GATEWAY_CTL_CREDENTIAL_FILE": str(gateway.credential_file),
    }
    result = CliRunner().invoke(ctl, words, env=environ)
    assert result.exit_code == 0, result.output
    answer: dict[str, Any] = json.loads(result.stdout)
    return answer


def say(gateway: RunningGateway, *words: str) -> dict[str, Any]:
    """Have an operator say it; return what the gateway answers once all processes go by it."""
    answer = ask(gateway, *words)
    assert answer["confirmed"] == answer["processes"] > 0
    return answer


def test_a_wave_takes_nobody_new_is_extended_and_closed_while_who_waits_is_served() -> None:
    with a_gateway(opens_at="+1s") as gateway:
        early, late = (Applicant(gateway.public_url, gateway.wave, person) for person in (1, 2))
        early.join()

        say(gateway, "intake", "close", *WHY)
        status, refused = call(late.url("tickets"), "POST")
        assert (status, refused["type"].rpartition("/")[2]) == (409, "joins-paused")
        early.wait_for_turn()
        early.claim()
        assert call(early.url("board"))[1]["joins_paused"] is True
        say(gateway, "intake", "open", *WHY)
        late.join()

        closes_at = datetime.fromisoformat(call(early.url("board"))[1]["closes_at"])
        later = (closes_at + timedelta(days=4)).isoformat(timespec="milliseconds")
        named = ("--confirm", gateway.wave, *WHY)
        say(gateway, "wave", "extend", "--until", later, *named)
        assert call(early.url("board"))[1]["closes_at"] == later

        closed = say(gateway, "wave", "close", *named)
        board = call(early.url("board"))[1]
        assert board["phase"] == "closed"
        assert board["closes_at"] == closed["policy"]["closes_at"]
        assert call(late.url("pass"), "POST", bearer=late.ticket)[1]["state"] == "closed"
        assert early.register()[0] == 201  # who is on the form finishes it


def test_a_change_reaches_both_front_doors_within_a_second_and_can_be_followed_and_undone() -> None:
    with a_gateway(opens_at="+1s") as gateway:
        board_url = f"{gateway.public_url}/v1/waves/{gateway.wave}/board"
        wait_for(lambda: call(board_url)[1]["phase"] == "open", what="the wave is open")

        def phases() -> set[str]:
            """Each look is a connection of its own, which the kernel gives to either door."""
            return {call(board_url)[1]["phase"] for _ in range(DOOR_LOOKS)}

        steps = [
            ("rate", "25", "--burst", "5", *WHY),
            ("pause", *WHY),
            ("undo", "--to", "2", *WHY),
            ("undo", *WHY),
            ("resume", "--json"),
        ]
        seen, took_s = [], []
        for step in steps:
            answer = say(gateway, *step)
            assert answer["processes"] == len(gateway.children(" serve")) == 2
            took_s.append(answer["confirmed_in_s"])
            seen.append((answer["policy"]["rate_per_s"], answer["policy"]["paused"], phases()))
        opened, paused = (25.0, False, {"open"}), (25.0, True, {"paused"})
        assert seen == [opened, paused, opened, paused, opened]
        assert median(took_s) < 1, took_s  # one may meet the start of another test's processes

        records = ask(gateway, "history", "--json")["records"]
        assert [record["revision"] for record in records] == [6, 5, 4, 3, 2]
        assert [record.get("did") for record in records] == [
            *(None, "undo to 3", "undo to 2", None, None)
        ]
        assert records[-1]["changes"]["rate_per_s"] == {"before": 20.0, "after": 25.0}
        assert all(record["plan"]["rate_per_s"] for record in records)
