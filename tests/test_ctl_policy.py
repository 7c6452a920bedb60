"""The knobs of ``gateway ctl``: plans, confirmations, timers, the way back, and what of it is told."""

import asyncio
import json
from dataclasses import replace
from typing import Any

import pytest

from gateway.core.credentials import Role
from gateway.core.policy import Policy
from gateway.core.snapshot import Phase
from gateway.ports import Standing
from tests.operations_house import NOW_US, OPEN
from tests.test_ctl import Gateway, gateway, silence  # noqa: F401  fixtures


def test_a_severe_step_is_refused_with_the_words_that_would_make_it(
    gateway: Gateway,  # noqa: F811
) -> None:
    result = gateway.run("rate", "600", "--reason", "x")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "rate_per_s is more than half up or down from 10" in result.stderr
    assert "if this is meant, add --confirm=600" in result.stderr
    assert gateway.policy.rate_per_s == 10
    assert gateway.run("rate", "600", "--reason", "x", "--confirm=600").exit_code == 0
    assert gateway.policy.rate_per_s == 600


def test_a_timed_change_says_until_when_and_what_then(gateway: Gateway) -> None:  # noqa: F811
    result = gateway.run("rate", "14", "--for", "15m", "--reason", "store fine")
    assert result.exit_code == 0, result.output
    told = "revision 2: rate 10/s → 14/s until 16:15 (then back to rate_per_s 10/s), 2 of 2"
    assert result.stdout.startswith(told)
    assert result.stderr == "undo: gateway ctl undo --to 1\n"
    asyncio.run(gateway.house.adopt())
    assert "at 16:15 back to rate_per_s 10/s" in gateway.run("status").stdout
    kept = gateway.run("set", "rate_per_s=14", "--reason", "good")
    assert kept.stdout.startswith("revision 3: kept for good, 2 of 2")


@pytest.mark.parametrize("words", ["15", "m", "15 m", "1d", "-5m", ""])
def test_a_time_that_is_none_is_misuse(gateway: Gateway, words: str) -> None:  # noqa: F811
    assert gateway.run("rate", "14", f"--for={words}", "--reason", "x").exit_code == 2
    assert not gateway.house.made()


def test_undo_goes_back_and_history_says_who_did_what(gateway: Gateway) -> None:  # noqa: F811
    gateway.run("rate", "14", "--reason", "store fine")
    gateway.run("concurrency", "1400", "--reason", "they are slow")
    gateway.run("rate", "999", "--reason", "refused: not in the history")
    plan = gateway.run("undo", "--to", "1", "--dry-run")
    assert plan.stdout.startswith("dry run: rate 14/s → 10/s, form_cap 1,400 → 1,000;")
    assert gateway.policy.rate_per_s == 14
    result = gateway.run("undo", "--to", "1", "--reason", "back")
    assert result.exit_code == 0, result.output
    assert "revision 4: rate 14/s → 10/s, form_cap 1,400 → 1,000" in result.stdout
    header, *rows = gateway.run("history").stdout.splitlines()
    assert header.split() == ["REV", "AT", "WHO", "CHANGE", "REASON", "RESULT"]
    assert [row.split()[0] for row in rows] == ["4", "3", "2"]
    assert "undo to 1: rate 14/s → 10/s" in rows[0]
    assert len(gateway.run("history", "--last", "1").stdout.splitlines()) == 2
    assert "refused (confirmation-missing) rate 10/s" not in gateway.run("history").stdout
    assert "refused (confirmation-missing) rate 14/s → 999/s" in gateway.run("audit").stdout
    assert gateway.run("undo", "--to", "4", "--reason", "x").exit_code == 2


def test_undo_alone_goes_one_back(gateway: Gateway) -> None:  # noqa: F811
    gateway.run("rate", "14", "--reason", "x")
    gateway.run("rate", "18", "--reason", "x")
    assert gateway.run("undo", "--reason", "x").exit_code == 0
    assert gateway.policy.rate_per_s == 14
    assert gateway.run("undo").exit_code == 2  # while open, say why


def test_what_came_of_a_change_stands_beside_it(gateway: Gateway) -> None:  # noqa: F811
    gateway.run("rate", "14", "--reason", "x")
    before: dict[str, Any] = {"admitted_per_s": 10.0, "registered_per_s": 9.0, "backlog": 3}
    result = {"before": before, "after": before | {"admitted_per_s": 14.0}}
    note = {"who": "gateway", "did": "result", "result": json.dumps(result)}
    asyncio.run(gateway.house.policies.note(gateway.house.room().wave, note, result_of=2))
    told = "admitted 10 → 14/s, registered 9 → 9/s, pending 3 → 3"
    assert gateway.run("history").stdout.splitlines()[1].endswith(told)
    assert f"result: {told}" in gateway.run("audit").stdout


def test_a_plan_without_a_change_says_how_the_wave_goes_on(gateway: Gateway) -> None:  # noqa: F811
    gateway.see(Phase.OPEN, issued=60_000, called=100, near=200, admitted=100, accepted=60)
    result = gateway.run("plan")
    assert result.exit_code == 0
    first, header, *rows = result.stdout.splitlines()
    assert first == "dry run: as it is; nothing was changed"
    assert header.split() == ["now", "after"]
    assert {" ".join(row.split()[:2]) for row in rows} >= {"last in", "places taken"}
    plan = json.loads(gateway.run("plan", "rate_per_s=2", "burst=2", "--json").stdout)["plan"]
    assert plan["now"]["last_s"] != plan["after"]["last_s"]
    assert not gateway.house.policies.records


def test_a_pause_tells_its_reason_on_every_page_and_resuming_takes_it_away(
    gateway: Gateway,  # noqa: F811
) -> None:
    gateway.run("message", "Siapkan KTP", "--reason", "x")
    gateway.run("pause", "--reason", "Data penduduk tidak menjawab", "--next-news", "19.30")
    since = "sejak / since 16:00 WIB"
    reason, news = "Data penduduk tidak menjawab", "kabar berikutnya / next news: 19:30 WIB"
    assert gateway.policy.message == f"{since} · {reason} · {news}"
    assert gateway.run("resume").exit_code == 0
    assert (gateway.policy.paused, gateway.policy.message) == (False, "Siapkan KTP")
    gateway.run("pause", "--reason", "kept inside", "--quiet")
    assert gateway.policy.message == "Siapkan KTP"
    assert gateway.run("message", "Sabar", "--reason", "x").exit_code == 0
    assert gateway.run("resume").exit_code == 0
    assert gateway.policy.message == "Sabar"


def test_a_pause_that_goes_on_tells_other_news_and_the_same_beginning(
    gateway: Gateway,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    gateway.run("message", "Siapkan KTP", "--reason", "x")
    gateway.run("pause", "--reason", "A", "--next-news", "16:30")
    half_an_hour_later = NOW_US + 1_800_000_000
    monkeypatch.setattr(gateway.house.operations, "_now_us", lambda: half_an_hour_later)
    gateway.run("pause", "--reason", "B", "--next-news", "17:00")
    news = "kabar berikutnya / next news: 17:00 WIB"
    assert gateway.policy.message == f"sejak / since 16:00 WIB · B · {news}"
    assert gateway.run("resume").exit_code == 0
    assert gateway.policy.message == "Siapkan KTP"
    gateway.run("pause", "--reason", "C")
    assert gateway.policy.message == "sejak / since 16:30 WIB · C"


def test_the_intake_is_closed_to_newcomers_and_opened_again(gateway: Gateway) -> None:  # noqa: F811
    assert gateway.run("intake", "close").exit_code == 2  # while open, say why
    result = gateway.run(
        "intake", "close", "--for", "30m", "--reason", "as many as there are places"
    )
    assert result.exit_code == 0, result.output
    told = "revision 2: joins_paused no → yes until 16:30 (then back to joins_paused no), 2 of 2"
    assert result.stdout.startswith(told)
    assert gateway.policy == replace(Policy(), joins_paused=True)
    asyncio.run(gateway.house.adopt())
    assert "nobody new is taken: gateway ctl intake open" in gateway.run("status").stdout
    assert gateway.run("intake", "open", "--dry-run", "--plain").stdout.startswith("at=")
    assert gateway.policy != Policy()
    opened = json.loads(gateway.run("intake", "open", "--reason", "x", "--json").stdout)
    assert opened["changes"] == {"joins_paused": {"before": True, "after": False}}
    assert gateway.policy == Policy()
    assert "timer" not in opened


def test_a_wave_is_extended_by_whoever_names_it(gateway: Gateway) -> None:  # noqa: F811
    words = ("wave", "extend", "--until", "17:30", "--reason", "long queue")
    refused = gateway.run(*words)
    assert refused.exit_code == 2
    assert "closes_at is the closing of a wave, as told to the public" in refused.stderr
    assert "if this is meant, add --confirm=wave-1" in refused.stderr
    assert (
        gateway.run("wave", "extend", "--until", "17:30", "--confirm=wave-1").exit_code == 2
    )  # why?
    result = gateway.run(*words, "--confirm=wave-1")
    assert result.exit_code == 0, result.output
    told = 'revision 2: closes_at "" → "2020-04-11T17:30:00+07:00", 2 of 2'
    assert result.stdout.startswith(told)
    assert result.stderr == "undo: gateway ctl undo --to 1\n"
    asyncio.run(gateway.house.adopt())
    assert "closes Sat 11 Apr 2020 17:30 WIB" in gateway.run("status").stdout


@pytest.mark.parametrize(
    ("until", "told"),
    [
        ("17.30", "2020-04-11T17:30:00+07:00"),
        ("2020-04-20T16:00", "2020-04-20T16:00:00+07:00"),
        ("2020-04-20 16:00", "2020-04-20T16:00:00+07:00"),
        ("2020-04-20T16:00:00+09:00", "2020-04-20T16:00:00+09:00"),
    ],
)
def test_a_time_without_a_zone_is_by_the_clock_of_the_wave(
    gateway: Gateway,  # noqa: F811
    until: str,
    told: str,
) -> None:
    words = ("wave", "extend", "--until", until, "--reason", "x", "--confirm", "wave-1", "--json")
    assert json.loads(gateway.run(*words).stdout)["changes"]["closes_at"]["after"] == told


@pytest.mark.parametrize("until", ["15:59", "2020-04-11T16:00", "25:00", "2020-04-20", "soon", ""])
def test_a_closing_that_is_over_or_none_is_misuse(gateway: Gateway, until: str) -> None:  # noqa: F811
    words = ("wave", "extend", f"--until={until}", "--reason", "x", "--confirm", "wave-1")
    assert gateway.run(*words).exit_code == 2
    assert not gateway.house.made()


def test_a_wave_is_closed_now_and_for_good(gateway: Gateway) -> None:  # noqa: F811
    plan = gateway.run("wave", "close", "--dry-run")
    assert "the wave closes at once, and for good" in plan.stdout
    assert gateway.run("wave", "close", "--reason", "x").exit_code == 2
    result = gateway.run("wave", "close", "--reason", "all done", "--confirm", "wave-1")
    assert (result.exit_code, result.stderr) == (0, "")  # no word of undo
    assert '"2020-04-11T16:00:00.000+07:00"' in result.stdout
    asyncio.run(gateway.house.adopt())
    words = ("wave", "extend", "--until", "17:30", "--reason", "x", "--confirm", "wave-1")
    for late in (words, ("undo", "--reason", "x")):
        answer = gateway.run(*late)
        assert answer.exit_code == 2
        assert "the wave has closed, and nothing opens it again" in answer.stderr


def test_the_closing_is_for_admins_by_undo_too(gateway: Gateway) -> None:  # noqa: F811
    words = ("wave", "extend", "--until", "17:30", "--reason", "x", "--confirm", "wave-1")
    assert gateway.run(*words).exit_code == 0
    gateway.credential_file = gateway.hold(gateway.house.credentials[Role.OPERATOR])
    for refused in ((*words[:3], "18:00", *words[4:]), ("undo", "--reason", "x")):
        answer = gateway.run(*refused)
        assert answer.exit_code == 2
        assert "changed by the role admin" in answer.stderr
    assert gateway.run("undo", "--dry-run").exit_code == 0
    assert gateway.run("message", "x", "--reason", "x").exit_code == 0
    assert gateway.run("undo", "--reason", "x").exit_code == 0  # of what is theirs to change


def test_a_reason_that_no_page_has_room_for_is_refused(gateway: Gateway) -> None:  # noqa: F811
    result = gateway.run("pause", "--reason", "x" * 290, "--next-news", "19:30")
    assert result.exit_code == 2
    assert "say it shorter, or add --quiet" in result.stderr
    assert gateway.run("pause", "--reason", "x", "--next-news", "25:00").exit_code == 2
    assert not gateway.house.made()


def test_quota_is_for_admins(gateway: Gateway) -> None:  # noqa: F811
    words = ("quota", "2000", "--confirm", "2000", "--reason", "200,000 as announced")
    gateway.credential_file = gateway.hold(gateway.house.credentials[Role.OPERATOR])
    result = gateway.run(*words)
    assert result.exit_code == 2
    assert "changed by the role admin" in result.stderr
    gateway.credential_file = gateway.hold(gateway.house.credentials[Role.ADMIN])
    assert gateway.run(*words).exit_code == 0
    assert gateway.policy.quota == 2_000


def test_plain_is_one_record_a_line_whose_members_are_named(gateway: Gateway) -> None:  # noqa: F811
    gateway.run("pause", "--reason", "a b", "--plain")
    lines = gateway.run("status", "--plain").stdout.splitlines()
    assert [line.split("\t")[0] for line in lines] == ["wave=wave-1", "wave=wave-2"]
    assert "policy.quota=1000" in lines[0].split("\t")
    policy = gateway.run("policy", "--plain").stdout.splitlines()
    assert "rate_per_s=10.0" in policy
    for verb in ("audit", "history"):
        (record,) = gateway.run(verb, "--plain").stdout.splitlines()
        assert "changes.paused.after=true" in record.split("\t")
    assert "after.held_by=paused" in gateway.run("plan", "--plain").stdout.split("\t")


def test_every_record_of_every_wave_is_exported_as_json_lines(gateway: Gateway) -> None:  # noqa: F811
    policies = gateway.house.policies
    for room in gateway.house.rooms:
        for n in range(250 if room.wave.id == "wave-1" else 1):
            asyncio.run(policies.note(room.wave, {"who": f"{n}", "refused": "policy-invalid"}))
    assert len(json.loads(gateway.run("audit", "--json").stdout)["records"]) == 100
    result = gateway.run("audit", "--json-lines")
    records = [json.loads(line) for line in result.stdout.splitlines()]
    told = [(record["wave"], record["who"]) for record in records]
    assert told == [*(("wave-1", f"{n}") for n in reversed(range(250))), ("wave-2", "0")]
    of_one = gateway.run("audit", "--json-lines", "--wave", "wave-2", "--verify")
    assert of_one.stdout.splitlines() == [json.dumps(records[-1])]
    assert "wave-2: 1 records, none was touched" in of_one.stderr


def test_the_audit_is_verified_and_a_touched_record_is_a_problem(
    gateway: Gateway,  # noqa: F811
) -> None:
    gateway.run("rate", "14", "--reason", "x")
    gateway.run("rate", "16", "--reason", "x")
    result = gateway.run("audit", "--verify")
    assert (result.exit_code, "wave-1: 2 records, none was touched" in result.stderr) == (0, True)
    gateway.house.policies.records["wave-1"][1]["who"] = "nobody"
    result = gateway.run("audit", "--verify")
    assert (result.exit_code, "wave-1: 2 records, record 1 does not follow" in result.stderr) == (
        1,
        True,
    )


def test_the_help_desk_sees_how_a_ticket_stands(gateway: Gateway) -> None:  # noqa: F811
    gateway.credential_file = gateway.hold(gateway.house.credentials[Role.HELPDESK])
    gateway.house.port.answers["look"] = Standing("called")
    gateway.house.room().observe(OPEN)
    first = gateway.run("ticket", "show", "70", "--wave", "wave-1").stdout
    assert first.startswith("ticket 70  wave-1  WAITING  ahead 60")
    gateway.house.port.answers["look"] = Standing("admitted", 1, 1_586_599_200_000_000, 1)
    told = gateway.run("ticket", "show", "3", "--wave", "wave-1").stdout
    assert told == "ticket 3  wave-1  ADMITTED  pass until 17:00, extended 1 times\n"
    gateway.house.port.answers["look"] = Standing(
        "registered", receipt="656FVHX6QKAJ6BX4Z43938GP9CM"
    )
    document = json.loads(gateway.run("ticket", "show", "3", "--wave", "wave-1", "--json").stdout)
    assert (document["state"], "656F" in str(document)) == ("registered", False)
    assert gateway.run("ticket", "show", "100", "--wave", "wave-1").exit_code == 2
    gateway.credential_file = gateway.hold(gateway.house.credentials[Role.VIEWER])
    assert gateway.run("ticket", "show", "3", "--wave", "wave-1").exit_code == 2


@pytest.mark.parametrize("shown", [None, 12.0])
def test_what_the_store_has_shown_bounds_the_rate(
    gateway: Gateway,  # noqa: F811
    shown: float | None,
) -> None:
    rows = [{"process": "deliver-1", "delivery": {"capacity_per_s": shown, "circuit": "closed"},
             "autopilot": {}, "reconciler": {"waves": {}, "sweeps": {}}}]  # fmt: skip

    async def alive() -> list[dict[str, Any]]:
        return [*rows, {"process": "serve-1", "revisions": {"wave-1": 9}}]

    gateway.processes.alive = alive  # type: ignore[method-assign]
    result = gateway.run("rate", "15", "--reason", "x")
    assert result.exit_code == (2 if shown else 0)
    assert ("1.2 times what the store has shown (12/s)" in result.stderr) is bool(shown)
