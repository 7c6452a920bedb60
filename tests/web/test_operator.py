"""The operator's listener over HTTP: who may ask what, and how a policy is changed."""

import random
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from gateway.core.credentials import ACCESS, Role
from gateway.core.snapshot import Phase
from gateway.ports import OutcomeUnknownError, PortUnavailableError
from gateway.services.changes import PolicyChange, Wish
from gateway.services.records import By
from gateway.web.access import KEYS_MAX, Allowance, _network
from tests.operations_house import OperatorsHouse, a_snapshot, now_us

POLICY = "/v1/waves/wave-1/policy"
DAY_US = 86_400 * 1_000_000
AWAY = PortUnavailableError("away")

Client = TestClient[web.Request, web.Application]


@pytest.fixture
def house() -> OperatorsHouse:
    return OperatorsHouse()


@pytest.fixture
async def client(house: OperatorsHouse) -> AsyncIterator[Client]:
    async with TestClient(TestServer(house.app())) as client:
        yield client


class Desk:
    """Asks with one role's credential."""

    def __init__(self, house: OperatorsHouse, client: Client, role: Role = Role.OPERATOR) -> None:
        self.client, self.text = client, house.credentials[role]

    async def ask(self, method: str, path: str, **how: Any) -> tuple[int, Any, Any]:
        headers = {"Authorization": f"Bearer {self.text}"} | how.pop("headers", {})
        async with self.client.request(method, path, headers=headers, **how) as response:
            return response.status, await response.json(content_type=None), response.headers

    async def put(self, fields: Any, *, revision: str | None = '"1"', **how: Any) -> Any:
        headers = {"X-Reason": "x"} | ({"If-Match": revision} if revision is not None else {})
        headers |= how.pop("headers", {})
        path = POLICY + how.pop("query", "")
        status, document, _ = await self.ask("PUT", path, json=fields, headers=headers, **how)
        return (status, code(document)) if status >= 400 else (status, document)


@pytest.fixture
def desk(house: OperatorsHouse, client: Client) -> Desk:
    return Desk(house, client)


def code(problem: Any) -> str:
    return str(problem["type"]).rpartition("/")[2]


async def test_without_a_credential_only_health_readiness_and_metrics_answer(
    client: Client,
) -> None:
    for path in ("/healthz", "/readyz", "/metrics"):
        assert (await client.get(path)).status == 200
    assert await (await client.get("/metrics")).text() == "# metrics\n"
    assert "version=0.0.4" in (await client.get("/metrics")).headers["Content-Type"]


async def test_i59_the_table_of_access_is_what_the_listener_does(
    house: OperatorsHouse, client: Client
) -> None:
    routes = {
        (route.method, route.resource.canonical)
        for route in client.server.app.router.routes()  # type: ignore[attr-defined]
        if route.resource is not None and route.method != "HEAD"
    }
    assert routes == set(ACCESS)
    paths = {path for _, path in ACCESS} | {"/v1/unknown", "/", "/v1/waves/wave-1"}
    for method in ("GET", "HEAD", "PUT", "POST", "DELETE", "PATCH", "OPTIONS"):
        for path in sorted(paths):
            needed = ACCESS.get(("GET" if method == "HEAD" else method, path), Role.VIEWER)
            url = path.replace("{wave}", "wave-1").replace("{number}", "7")
            url = url.replace("{file}", "console.js")
            for role in (None, *Role):
                headers = (
                    {} if role is None else {"Authorization": f"Bearer {house.credentials[role]}"}
                )
                client.session.cookie_jar.clear()  # of logins
                response = await client.request(method, url, headers=headers)
                if needed is None:
                    assert response.status == 200
                elif role is None:
                    assert response.status == 401, (method, path)
                else:
                    assert (response.status == 403) == (role < needed), (method, path, role)
        # 20 requests a second with one credential: this test is no operator.
        for role in Role:
            house.credentials[role] = house.enrol(f"{role.name}-{method}".lower(), role)


async def test_health_and_readiness_answer_without_redis(
    house: OperatorsHouse, client: Client
) -> None:
    house.policies.outage = house.processes.outage = AWAY
    house.clock_s += 60
    assert (await client.get("/healthz")).status == 200
    response = await client.get("/readyz")
    assert response.status == 200
    document = await response.json()
    assert document["ready"] is True
    assert document["accepting"] is False
    assert len(document["reasons"]) == 2


@pytest.mark.parametrize("trouble", [{"draining": True}, {"faults": ("keys differ",)}])
async def test_i57_readiness_is_503_only_when_this_process_should_get_no_traffic(
    house: OperatorsHouse, client: Client, trouble: dict[str, Any]
) -> None:
    for name, value in trouble.items():
        setattr(house.condition, name, value)
    response = await client.get("/readyz")
    assert response.status == 503
    assert response.headers["Retry-After"] == "1"
    assert (await response.json())["accepting"] is False
    assert (await client.get("/healthz")).status == 200


async def test_o1_a_missing_malformed_or_wrong_credential_is_401_and_says_how_to_ask(
    house: OperatorsHouse, client: Client
) -> None:
    good = house.credentials[Role.ADMIN]
    shown = {
        None: "credential-missing",
        "Bearer": "credential-invalid",
        f"Basic {good}": "credential-invalid",
        f"Bearer {good}x": "credential-invalid",
        f"Bearer {good[:-1]}": "credential-invalid",
        f"Bearer {good} {good}": "credential-invalid",
        "Bearer gwo_ctl": "credential-invalid",
        "Bearer \u00fc": "credential-invalid",
    }
    for text, wanted in shown.items():
        headers = {} if text is None else {"Authorization": text}
        response = await client.get("/v1/status", headers=headers)
        assert response.status == 401, text
        assert response.headers["WWW-Authenticate"] == "Bearer"
        assert code(await response.json(content_type=None)) == wanted


async def test_o1_a_credential_nobody_issued_or_that_was_revoked_is_401(
    house: OperatorsHouse, client: Client, desk: Desk
) -> None:
    assert (await desk.ask("GET", "/v1/status"))[0] == 200
    house.operators.clear()
    status, problem, _ = await desk.ask("GET", "/v1/status")
    assert (status, code(problem)) == (401, "credential-invalid")


async def test_o1_an_expired_credential_is_401_and_its_holder_is_told_why(
    house: OperatorsHouse, client: Client, desk: Desk
) -> None:
    desk.text = house.enrol("old", Role.ADMIN, issued_at_us=now_us() - 91 * DAY_US)
    status, problem, _ = await desk.ask("GET", "/v1/status")
    assert (status, code(problem)) == (401, "credential-invalid")
    assert "expired" in problem["detail"]


async def test_two_different_credentials_are_never_chosen_from(
    house: OperatorsHouse, client: Client
) -> None:
    pairs = [
        ("Authorization", f"Bearer {house.credentials[role]}") for role in (Role.VIEWER, Role.ADMIN)
    ]
    response = await client.get("/v1/status", headers=pairs)
    assert response.status == 400
    assert code(await response.json(content_type=None)) == "credential-ambiguous"


async def test_o2_failures_are_429_after_ten_and_nobody_else_is_locked_out(
    client: Client, desk: Desk
) -> None:
    wrong = {"Authorization": "Bearer gwo_ctl_" + "A" * 43 + "_00000000"}
    answers = [(await client.get("/v1/status", headers=wrong)).status for _ in range(40)]
    assert answers == [401] * 10 + [429] * 30
    response = await client.get("/v1/status", headers=wrong)
    assert int(response.headers["Retry-After"]) >= 1
    assert code(await response.json(content_type=None)) == "too-many-requests"
    assert (await desk.ask("GET", "/v1/status"))[0] == 200


def test_no_window_holds_more_than_its_allowance() -> None:
    seed = secrets.randbits(32)
    rng = random.Random(seed)
    allowance, now_s, taken = Allowance(10, 60.0), 0.0, list[float]()
    for _ in range(3_000):
        now_s += rng.expovariate(1.0)
        wait_s = allowance.take("a", now_s=now_s)
        if wait_s == 0:
            taken.append(now_s)
        else:
            assert 0 < wait_s <= 60, seed
            now_s += wait_s if rng.random() < 0.2 else 0.0
    assert all(later - earlier >= 60 for earlier, later in zip(taken, taken[10:], strict=False)), (
        seed
    )
    assert len(taken) > 100, seed


def test_allowances_forget_the_key_that_was_quiet_longest() -> None:
    allowance = Allowance(1, 60.0)
    for number in range(KEYS_MAX + 1):
        assert allowance.take(str(number), now_s=0.0) == 0
    assert allowance.take(str(KEYS_MAX), now_s=1.0) == 59.0
    assert allowance.take("0", now_s=1.0) == 0


@pytest.mark.parametrize(
    ("address", "counted_as"),
    [
        ("10.0.0.7", "10.0.0.7"),
        ("2001:db8::1", "2001:db8::/64"),
        ("2001:db8::ffff:2%eth0", "2001:db8::/64"),
        (None, ""),
        ("local", ""),
    ],
)
def test_failures_are_counted_by_address_and_of_ipv6_by_network(
    address: str | None, counted_as: str
) -> None:
    assert _network(address) == counted_as


async def test_asking_without_a_credential_is_no_failed_guess(client: Client) -> None:
    answers = [(await client.get("/v1/status")).status for _ in range(30)]
    assert answers == [401] * 30


async def test_one_credential_cannot_ask_without_measure(client: Client, desk: Desk) -> None:
    answers = [(await desk.ask("GET", "/v1/status"))[0] for _ in range(60)]
    assert answers[:20] == [200] * 20
    assert 429 in answers


async def test_a_role_that_may_look_may_not_change(house: OperatorsHouse, client: Client) -> None:
    viewer = Desk(house, client, Role.VIEWER)
    assert (await viewer.ask("GET", POLICY))[0] == 200
    assert await viewer.put({"paused": True}) == (403, "role-missing")
    assert not house.made()


async def test_the_policy_read_is_one_that_can_be_sent_back(desk: Desk) -> None:
    status, document, headers = await desk.ask("GET", POLICY)
    assert (status, headers["ETag"], headers["Cache-Control"]) == (200, '"1"', "no-store")
    assert document["rate_per_s"] == 10.0
    status, answer = await desk.put(document | {"rate_per_s": 25}, query="?confirm=25")
    assert status == 200
    assert answer["changes"] == {"rate_per_s": {"before": 10.0, "after": 25.0}}


async def test_a_change_is_made_told_and_audited(house: OperatorsHouse, desk: Desk) -> None:
    headers = {"X-Reason": "toko siap – naikkan"}
    status, document = await desk.put({"rate_per_s": 25}, headers=headers, query="?confirm=25")
    assert status == 200
    assert document["revision"] == 2
    assert document["dry_run"] is False
    assert document["policy"]["rate_per_s"] == 25.0
    assert (await desk.ask("GET", POLICY))[2]["ETag"] == '"2"'
    _, audit, _ = await desk.ask("GET", "/v1/audit")
    (record,) = audit["records"]
    assert record["who"] == "operator"
    assert record["origin"] == "127.0.0.1"
    assert record["reason"] == "toko siap – naikkan"
    assert record["changes"] == document["changes"]


async def test_a_dry_run_returns_the_plan_and_changes_nothing(
    house: OperatorsHouse, desk: Desk
) -> None:
    status, plan = await desk.put({"rate_per_s": 25, "burst": 20}, query="?dry_run=1")
    assert (status, plan["dry_run"], plan["revision"]) == (200, True, 1)
    assert plan["changes"] == {
        "rate_per_s": {"before": 10.0, "after": 25.0},
        "burst": {"before": 10, "after": 20},
    }
    assert house.policies.held["wave-1"].revision == 1
    assert await desk.put({"rate_per_s": 25}, query="?dry_run=yes") == (422, "policy-invalid")
    assert house.policies.held["wave-1"].revision == 1


async def test_o4_a_change_names_the_revision_it_was_made_for(
    house: OperatorsHouse, desk: Desk
) -> None:
    for unnamed in (None, "", "*", 'W/"1"', "one", '"1", "2"', "-1"):
        assert await desk.put({"paused": True}, revision=unnamed) == (428, "revision-missing")
    for stale in ("0", '"2"', "999999999999999"):
        assert await desk.put({"paused": True}, revision=stale) == (412, "revision-stale")
    status, problem, headers = await desk.ask(
        "PUT", POLICY, json={"paused": True}, headers={"If-Match": '"7"'}
    )
    assert (status, problem["revision"], headers["ETag"]) == (412, 1, '"1"')
    assert not house.made()
    assert (await desk.put({"paused": True}, revision="1"))[0] == 200


@pytest.mark.parametrize(
    "rate", ["-1", "1e308", '"10"', "null", "true", "0.0000001", "0", "[]", "{}"]
)
async def test_o3_a_rate_that_is_none_is_422_with_its_pointer(
    house: OperatorsHouse, desk: Desk, rate: str
) -> None:
    status, problem, _ = await desk.ask(
        "PUT",
        POLICY,
        data=f'{{"rate_per_s": {rate}}}',
        headers={"If-Match": "1", "Content-Type": "application/json"},
    )
    if rate == "1e308":  # beyond what two readers of JSON agree on
        assert (status, code(problem)) == (400, "json-invalid")
        return
    assert (status, code(problem)) == (422, "policy-invalid")
    (error,) = problem["errors"]
    assert error["pointer"] == "/rate_per_s"
    assert "use paused" in error["hint"]
    assert not house.made()


async def test_f20_all_violations_of_a_mistyped_policy_are_told_and_none_is_applied(
    house: OperatorsHouse, desk: Desk
) -> None:
    fields = {"rate_per_s": 0, "burst": "1O", "quotas": 5, "<b>": 1, "paused": True}
    status, problem, _ = await desk.ask("PUT", POLICY, json=fields, headers={"If-Match": "1"})
    assert status == 422
    pointers = sorted(error["pointer"] for error in problem["errors"])
    assert pointers == ["", "/burst", "/quotas", "/rate_per_s"]
    assert "<b>" not in str(problem)
    assert house.policies.held["wave-1"].policy.paused is False


@pytest.mark.parametrize(
    ("body", "media_type", "answer"),
    [
        (b"", "application/json", (400, "json-invalid")),
        (b'{"paused": true', "application/json", (400, "json-invalid")),
        (b'{"paused": true, "paused": false}', "application/json", (400, "json-invalid")),
        (b'{"rate_per_s": NaN}', "application/json", (400, "json-invalid")),
        (b"[]", "application/json", (422, "field-type")),
        (b"{}", "text/plain", (415, "media-type")),
        (b"paused=1", "application/x-www-form-urlencoded", (415, "media-type")),
        (b'{"message": "' + b"x" * 262_144 + b'"}', "application/json", (413, "too-large")),
    ],
)
async def test_a_body_that_could_be_misread_is_refused(
    house: OperatorsHouse, desk: Desk, body: bytes, media_type: str, answer: tuple[int, str]
) -> None:
    headers = {"If-Match": "1", "Content-Type": media_type}
    status, problem, _ = await desk.ask("PUT", POLICY, data=body, headers=headers)
    assert (status, code(problem)) == answer
    assert not house.made()


async def test_a_body_of_200_kib_is_read(desk: Desk) -> None:
    body = b'{"paused": true' + b" " * 200_000 + b"}"
    headers = {"If-Match": "1", "X-Reason": "x", "Content-Type": "application/json"}
    assert (await desk.ask("PUT", POLICY, data=body, headers=headers))[0] == 200


async def test_a_change_without_a_reason_is_refused_while_the_wave_runs_and_leaves_a_record(
    house: OperatorsHouse, desk: Desk
) -> None:
    for blank in ("", "   "):
        answer = await desk.put({"paused": True}, headers={"X-Reason": blank})
        assert answer == (422, "reason-missing")
    headers = {"If-Match": "1"}
    _, problem, _ = await desk.ask("PUT", POLICY, json={"paused": True}, headers=headers)
    assert problem["detail"] == "The wave is open: say why in X-Reason; it is kept with the change."
    assert [each["refused"] for each in house.refused()] == ["reason-missing"] * 3
    assert not house.made()


@pytest.mark.parametrize("reason", ["x" * 301, "a\tb", "a\u0085b", "a\u202eb"])
async def test_a_reason_is_printable_text_of_bounded_length(
    house: OperatorsHouse, desk: Desk, reason: str
) -> None:
    answer = await desk.put({"paused": True}, headers={"X-Reason": reason})
    assert answer == (422, "policy-invalid")
    assert not house.made()


@pytest.mark.parametrize("wave", ["wave-9", "WAVE-1", "x" * 65, "w%C3%A4ve"])
async def test_an_unknown_wave_is_404(desk: Desk, wave: str) -> None:
    for method, path in (("GET", f"/v1/waves/{wave}/policy"), ("GET", f"/v1/audit?wave={wave}")):
        status, problem, _ = await desk.ask(method, path)
        assert (status, code(problem)) == (404, "wave-unknown")


async def test_a_page_of_another_site_changes_nothing(house: OperatorsHouse, desk: Desk) -> None:
    answer = await desk.put({"paused": True}, headers={"Origin": "https://evil.example"})
    assert answer == (403, "cross-site")
    assert not house.made()


@pytest.mark.parametrize(
    ("outage", "wanted"),
    [
        (AWAY, "redis-unavailable"),
        (OutcomeUnknownError("no answer"), "outcome-unknown"),
    ],
)
async def test_an_outage_is_503_with_a_time_to_come_back(
    house: OperatorsHouse, desk: Desk, outage: PortUnavailableError, wanted: str
) -> None:
    house.policies.outage = outage
    status, problem, headers = await desk.ask(
        "PUT", POLICY, json={"paused": True}, headers={"If-Match": "1"}
    )
    assert (status, code(problem)) == (503, wanted)
    assert int(headers["Retry-After"]) >= 1
    assert (await desk.ask("GET", "/v1/status"))[0] == 200


async def test_status_is_told_to_viewers_with_all_counters(
    house: OperatorsHouse, client: Client
) -> None:
    house.room("wave-2").observe(a_snapshot(Phase.CLOSED))
    viewer = Desk(house, client, Role.VIEWER)
    status, document, headers = await viewer.ask("GET", "/v1/status")
    assert (status, headers["Cache-Control"]) == (200, "no-store")
    first, second = document["waves"]
    assert (first["phase"], first["issued"], first["revision"]) == ("open", 100, 1)
    assert second["phase"] == "closed"
    assert document["accepting"] is True


async def test_i58_every_action_that_is_refused_leaves_one_record_and_no_value_of_a_stranger(
    house: OperatorsHouse, client: Client, desk: Desk
) -> None:
    viewer = Desk(house, client, Role.VIEWER)
    headers = {"X-Reason": "let me"}
    refusals: dict[str, Callable[[], Awaitable[Any]]] = {
        "role-missing": lambda: viewer.put({"paused": True}, headers=headers),
        "revision-stale": lambda: desk.put({"paused": True}, revision="7", headers=headers),
        "revision-missing": lambda: desk.put({"paused": True}, revision=None, headers=headers),
        "policy-invalid": lambda: desk.put({"message": 3201014507900007}, headers=headers),
        "field-type": lambda: desk.put(["3201014507900007"], headers=headers),
        "confirmation-missing": lambda: desk.put({"rate_per_s": 99}, headers=headers),
    }
    for count, (wanted, act) in enumerate(refusals.items(), 1):
        assert (await act())[1] == wanted
        record, *others = house.refused()
        assert (record["refused"], record["reason"], len(others)) == (wanted, "let me", count - 1)
        assert (record["origin"], record["did"]) == ("127.0.0.1", f"PUT {POLICY}")
    assert house.refused()[-1]["who"] == "viewer"
    assert "3201014507900007" not in str(house.policies.records)
    _, audit, _ = await desk.ask("GET", "/v1/audit?verify=1")
    assert audit["records"][0]["changes"] == {"rate_per_s": {"before": 10.0, "after": 99.0}}
    assert audit["chains"]["wave-1"] == {
        "records": 6, "broken_at": None, "head": house.refused()[0]["hash"],
    }  # fmt: skip
    await desk.put({"rate_per_s": 99}, query="?dry_run=1")
    assert len(house.refused()) == 6  # a plan is no action


async def test_the_quota_is_changed_by_admins_alone(house: OperatorsHouse, client: Client) -> None:
    assert await Desk(house, client).put({"quota": 5}) == (403, "role-missing")
    assert await Desk(house, client).put({"quota": 1_000, "paused": True}) != (403, "role-missing")
    admin = Desk(house, client, Role.ADMIN)
    status, _ = await admin.put({"quota": 5}, revision='"2"', query="?confirm=5")
    assert status == 200


async def test_a_severe_step_says_which_values_are_to_be_repeated(
    house: OperatorsHouse, desk: Desk
) -> None:
    headers = {"If-Match": "1", "X-Reason": "x"}
    status, problem, _ = await desk.ask("PUT", POLICY, json={"rate_per_s": 600}, headers=headers)
    assert (status, code(problem)) == (428, "confirmation-missing")
    why = "more than half up or down from 10"
    assert problem["confirm"] == [{"name": "rate_per_s", "value": 600.0, "why": why}]
    assert (await desk.put({"rate_per_s": 600}, query="?confirm=600"))[0] == 200


@pytest.mark.parametrize("for_s", ["9", "86401", "-1", "x", "", "1e3"])
async def test_a_time_that_is_none_is_refused(
    house: OperatorsHouse, desk: Desk, for_s: str
) -> None:
    answer = await desk.put({"rate_per_s": 11}, query=f"?for_s={for_s}")
    assert answer == (422, "policy-invalid")
    assert not house.made()


async def test_a_timed_change_tells_what_goes_back_and_when(desk: Desk) -> None:
    status, answer = await desk.put({"rate_per_s": 14}, query="?for_s=900")
    assert status == 200
    assert answer["timer"] == {
        "until": "2020-04-11T16:15:00.000+07:00", "fields": {"rate_per_s": 10.0},
    }  # fmt: skip
    _, audit, _ = await desk.ask("GET", "/v1/audit")
    assert audit["records"][0]["until"] == "2020-04-11T16:15:00.000+07:00"


async def test_undo_goes_back_one_revision_or_to_the_one_named(desk: Desk) -> None:
    async def undo(body: Any, revision: str) -> tuple[int, Any]:
        headers = {"If-Match": revision, "X-Reason": "x"}
        path = "/v1/waves/wave-1/undo"
        status, document, _ = await desk.ask("POST", path, json=body, headers=headers)
        return (status, code(document)) if status >= 400 else (status, document["policy"])

    await desk.put({"rate_per_s": 14})
    await desk.put({"rate_per_s": 18}, revision="2")
    status, policy = await undo({}, "3")
    assert (status, policy["rate_per_s"]) == (200, 14.0)
    status, policy = await undo({"to": 1}, "4")
    assert (status, policy["rate_per_s"]) == (200, 10.0)
    assert await undo({}, "4") == (412, "revision-stale")
    for to in (0, 5, 99):
        assert await undo({"to": to}, "5") == (409, "revision-unknown")
    for body in ({"to": "1"}, {"to": True}, {"too": 1}, {"to": None}):
        assert await undo(body, "5") == (422, "policy-invalid")


async def test_older_records_of_one_wave_are_asked_for_by_the_id_of_one(desk: Desk) -> None:
    for revision in ("1", "2", "3"):
        await desk.put({"message": revision}, revision=revision)
    _, audit, _ = await desk.ask("GET", "/v1/audit?wave=wave-1")
    newest, *older = audit["records"]
    _, rest, _ = await desk.ask("GET", f"/v1/audit?wave=wave-1&before={newest['id']}")
    assert (rest["records"], len(older)) == (older, 2)
    for query in (f"before={newest['id']}", "wave=wave-1&before=(1-0", "wave=wave-1&before=-"):
        status, problem, _ = await desk.ask("GET", f"/v1/audit?{query}")
        assert (status, code(problem)) == (422, "policy-invalid")


async def test_the_audit_can_be_narrowed_to_one_wave(house: OperatorsHouse, desk: Desk) -> None:
    await desk.put({"paused": True})
    wish = Wish({"paused": True})
    done = await house.desk.change(house.room("wave-2"), 1, wish, By("budi", "x"))
    assert isinstance(done, PolicyChange)
    _, every, _ = await desk.ask("GET", "/v1/audit")
    assert {record["wave"] for record in every["records"]} == {"wave-1", "wave-2"}
    _, one, _ = await desk.ask("GET", "/v1/audit?wave=wave-2")
    assert [record["who"] for record in one["records"]] == ["budi"]


async def test_a_process_that_nobody_keeps_is_not_renewed(
    house: OperatorsHouse, client: Client
) -> None:
    headers = {"Authorization": f"Bearer {house.credentials[Role.ADMIN]}"}
    async with client.post("/v1/reload", json={"now": True}, headers=headers) as answer:
        assert (answer.status, code(await answer.json())) == (422, "policy-invalid")
    house.renewal = None
    alone = TestClient(TestServer(house.app()))
    async with alone, alone.post("/v1/reload", json={}, headers=headers) as answer:
        assert (answer.status, code(await answer.json())) == (409, "not-supervised")
