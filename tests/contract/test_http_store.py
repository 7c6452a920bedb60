"""What a store behind HTTP promises beyond the suite: what answers mean, and where calls may lead (I-54)."""

import asyncio
import ipaddress
import socket
import ssl
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from gateway.ports import PortUnavailableError
from gateway.stores.http import HttpStore
from gateway.stores.outbound import CONNECTIONS_MAX, Outbound, is_public
from tests.adapters.registration_service import Act, RegistrationService, serving
from tests.contract.store_benches import (
    DUPLICATE,
    RECORDED,
    REJECTED,
    digest,
    http_store,
    recordings,
    row,
    rows_in_memory,
)


@pytest.fixture
async def service() -> AsyncIterator[RegistrationService]:
    async with serving(RegistrationService()) as made:
        yield made


@pytest.fixture(params=[False, True], ids=["batch", "singly"])
async def store(
    request: pytest.FixtureRequest, service: RegistrationService, tmp_path: Path
) -> AsyncIterator[HttpStore]:
    made = http_store(service, tmp_path, singly=request.param, credential="hunter2")
    yield made
    await made.close()


@pytest.fixture
async def in_batches(service: RegistrationService, tmp_path: Path) -> AsyncIterator[HttpStore]:
    made = http_store(service, tmp_path)
    yield made
    await made.close()


async def noted(store: HttpStore) -> list[str]:
    return [entry.receipt for entry, _ in await store.recorded_rows("prakerja", "", 500)]


@pytest.mark.parametrize(
    ("reason", "told"),
    [("under-age", "under-age"), ("", "refused"), ("nik 3201014507900007", "refused")],
)
async def test_a_row_that_the_service_refuses_is_rejected_with_a_word_never_a_value(
    service: RegistrationService, store: HttpStore, reason: str, told: str
) -> None:
    """F-15, I-40."""
    service.refused, service.reason, service.always = {"R2"}, reason, Act.REFUSE
    outcomes = await store.put([row(1), row(2), row(3)])
    assert [outcome.recording for outcome in outcomes] == [RECORDED, REJECTED, RECORDED]
    assert outcomes[1].reason == told
    assert await noted(store) == ["R1", "R3"]


async def test_a_batch_refused_as_a_whole_is_halved_until_the_row_stands_alone(
    service: RegistrationService, in_batches: HttpStore
) -> None:
    service.refused, service.always = {"R77"}, Act.REFUSE_WHOLE
    outcomes = await in_batches.put([row(serial) for serial in range(100)])
    assert [o.receipt for o in outcomes if o.recording is REJECTED] == ["R77"]
    assert outcomes[77].reason == "refused-422"
    assert len(service.rows.rows) == 99
    assert len(service.calls) <= 15  # 1 + 2 log2(100)


async def test_a_single_row_refused_by_its_status_is_rejected(
    service: RegistrationService, store: HttpStore
) -> None:
    service.refused, service.always = {"R1"}, Act.REFUSE_WHOLE
    (outcome,) = await store.put([row(1)])
    assert (outcome.recording, outcome.reason) == (REJECTED, "refused-422")


async def test_a_batch_above_what_the_service_takes_is_halved(
    service: RegistrationService, in_batches: HttpStore
) -> None:
    big = [row(n, payload=b'{"a":"%s"}' % (b"x" * 15_000)) for n in range(100)]
    assert set(await recordings(in_batches, *big)) == {RECORDED}
    assert len(service.rows.rows) == 100
    assert len(service.calls) == 2


async def test_a_batch_whose_answer_is_too_long_is_halved_until_the_answers_fit(
    service: RegistrationService, in_batches: HttpStore
) -> None:
    """I-50: what was carried out before is recorded once."""
    service.always, service.reason = Act.REFUSE, "x" * 300
    batch = [row(serial) for serial in range(500)]
    service.refused = {each.receipt for each in batch[::2]}
    assert await recordings(in_batches, *batch) == [REJECTED, RECORDED] * 250
    assert [len(call.receipts) for call in service.calls] == [500, 250, 250]
    assert len(service.rows.rows) == 250


async def test_one_row_whose_answer_has_no_end_counts_for_nothing(
    service: RegistrationService, store: HttpStore
) -> None:
    service.always = Act.HUGE
    with pytest.raises(PortUnavailableError, match="above 65536 bytes") as refused:
        await store.put([row(1)])
    assert refused.value.__cause__ is None
    assert await noted(store) == []
    service.always = Act.OK
    assert await recordings(store, row(1)) == [RECORDED]
    assert len(service.rows.rows) == 1


@pytest.mark.parametrize(
    ("act", "told"),
    [
        (Act.FAIL_BEFORE, "it answered (500)"),
        (Act.FAIL_AFTER, "it answered (500)"),
        (Act.REDIRECT, "not followed (307)"),
        (Act.BUSY, "it answered (429)"),
        (Act.UNAUTHORISED, "it answered (401)"),
        (Act.NONSENSE, "not what the contract says"),
        (Act.OTHERS, "other rows"),
    ],
)
async def test_an_answer_that_leaves_a_doubt_counts_for_nothing_and_the_batch_is_sent_again(
    service: RegistrationService, in_batches: HttpStore, act: Act, told: str
) -> None:
    """F-13: whatever was done, the repetition is recorded once."""
    service.script = [act]
    with pytest.raises(PortUnavailableError) as refused:
        await in_batches.put([row(1), row(2, person=1)])
    assert told in str(refused.value)
    assert refused.value.__cause__ is None
    assert await noted(in_batches) == []
    in_batches._quiet_until_s = 0.0
    assert await recordings(in_batches, row(1), row(2, person=1)) == [RECORDED, DUPLICATE]
    assert len(service.rows.rows) == 1
    assert {len(call.receipts) for call in service.calls} == {2}, "nothing went elsewhere"


async def test_a_service_that_says_ok_and_forgets_takes_the_row_when_it_is_sent_again(
    service: RegistrationService, store: HttpStore
) -> None:
    """F-14."""
    service.script = [Act.FORGET]
    assert await recordings(store, row(1)) == [RECORDED]
    assert service.rows.rows == {}
    assert await recordings(store, row(1)) == [RECORDED]
    assert rows_in_memory(service.rows).keys() == {"R1"}
    assert await noted(store) == ["R1"]


async def test_a_service_that_names_a_time_is_left_alone_until_then(
    service: RegistrationService, store: HttpStore
) -> None:
    service.script = [Act.BUSY]
    with pytest.raises(PortUnavailableError) as refused:
        await store.put([row(1)])
    assert refused.value.retry_after_s == 7.0
    with pytest.raises(PortUnavailableError, match="asked us to wait") as again:
        await store.put([row(1)])
    assert 6.0 < again.value.retry_after_s <= 7.0
    assert len(service.calls) == 1


@pytest.mark.parametrize("act", [Act.HANG, Act.HANG_AFTER])
async def test_a_service_that_hangs_is_left_by_the_deadline(
    service: RegistrationService, tmp_path: Path, act: Act
) -> None:
    """I-46."""
    store = http_store(service, tmp_path, deadline_s=0.3)
    service.always = act
    began_s = time.monotonic()
    with pytest.raises(PortUnavailableError, match="deadline"):
        await store.put([row(1)])
    assert time.monotonic() - began_s < 2.0
    service.always = Act.OK
    assert await recordings(store, row(1)) == [RECORDED]
    await store.close()


async def test_a_slow_service_is_waited_for(service: RegistrationService, store: HttpStore) -> None:
    service.always = Act.SLOW
    assert await recordings(store, row(1), row(2)) == [RECORDED] * 2


async def test_the_same_rows_always_go_under_the_same_key(
    service: RegistrationService, in_batches: HttpStore
) -> None:
    for batch in ([row(1), row(2)], [row(1), row(2)], [row(1)]):
        await in_batches.put(batch)
    keys = [call.headers["Idempotency-Key"] for call in service.calls]
    assert keys[0] == keys[1] != keys[2]


async def test_what_goes_with_a_row(service: RegistrationService, tmp_path: Path) -> None:
    store = http_store(service, tmp_path, singly=True, credential="hunter2")
    for serial in range(2):
        await store.put([row(serial)])
    first, second = service.calls
    assert first.headers["Idempotency-Key"] == "R0"
    assert first.headers["Authorization"] == "Bearer hunter2"
    assert first.headers["Content-Type"] == "application/json"
    assert first.headers["Accept-Encoding"] == "identity"
    assert "Cookie" not in second.headers, "cookies are not kept"
    await store.close()


async def test_single_rows_share_few_connections(
    service: RegistrationService, tmp_path: Path
) -> None:
    store = http_store(service, tmp_path, singly=True)
    service.always = Act.SLOW
    assert set(await recordings(store, *map(row, range(50)))) == {RECORDED}
    assert store._service._session is not None
    assert store._service._session.connector is not None
    assert store._service._session.connector.limit == CONNECTIONS_MAX
    assert service.busiest <= CONNECTIONS_MAX
    await store.close()


# --- where calls may lead ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url",
    [
        "https://10.0.0.1/",
        "https://169.254.169.254/latest",
        "https://[::ffff:192.168.1.1]/",
        "https://[fd00::1]/",
        "https://100.64.0.1/",
        "https://0.0.0.0/",
    ],
)
async def test_a_private_address_is_never_called(url: str) -> None:
    outbound = Outbound(url, deadline_s=2.0)
    with pytest.raises(PortUnavailableError, match="address is private"):
        await outbound.call("POST", b"{}")
    await outbound.close()


async def test_a_name_that_leads_to_a_private_address_is_judged_when_it_is_called(
    service: RegistrationService, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever it was resolved to before: the check stands where the socket is made."""
    port = int(service.url.split(":")[2].split("/")[0])

    async def resolve(_loop: Any, host: Any, _port: Any, **_: Any) -> list[Any]:
        assert host == "registry.example"
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

    monkeypatch.setattr(asyncio.base_events.BaseEventLoop, "getaddrinfo", resolve)
    url = f"http://registry.example:{port}/registrations"
    strict, lenient = (
        Outbound(url, deadline_s=2.0, allow_private=allowed) for allowed in (False, True)
    )
    with pytest.raises(PortUnavailableError, match="address is private"):
        await strict.call("GET")
    assert service.calls == []
    assert (await lenient.call("GET")).status == 405
    await strict.close()
    await lenient.close()


async def test_a_certificate_that_nobody_vouches_for_ends_the_call(
    tmp_path: Path, service: RegistrationService
) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(self_signed(tmp_path))
    async with serving(service, context):
        assert service.url.startswith("https://")
        outbound = Outbound(service.url, deadline_s=2.0)
        with pytest.raises(PortUnavailableError, match="certificate"):
            await outbound.call("GET")
        await outbound.close()
    assert service.calls == []


def self_signed(folder: Path) -> Path:
    """Make a key and a certificate for loopback, in one file."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]),
            critical=False,
        )
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    private = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    path = folder / "server.pem"
    path.write_bytes(key.private_bytes(pem, *private) + certificate.public_bytes(pem))
    return path


async def test_the_environment_leads_no_call_elsewhere(
    service: RegistrationService, in_batches: HttpStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert await recordings(in_batches, row(1)) == [RECORDED]
    assert service.calls


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("8.8.8.8", True),
        ("2606:4700::1111", True),
        ("::ffff:8.8.8.8", True),
        ("64:ff9b::808:808", True),
        ("127.0.0.1", False),
        ("::1", False),
        ("10.1.2.3", False),
        ("192.168.0.1", False),
        ("172.16.0.1", False),
        ("169.254.169.254", False),
        ("100.64.0.1", False),
        ("224.0.0.1", False),
        ("ff02::1", False),
        ("fe80::1", False),
        ("fc00::1", False),
        ("::ffff:10.0.0.1", False),
        ("64:ff9b::a00:1", False),
        ("2002:a00:1::", False),
    ],
)
def test_what_an_address_wraps_decides(address: str, public: bool) -> None:
    assert is_public(ipaddress.ip_address(address)) is public


async def test_what_was_recorded_before_a_crash_is_noted_by_the_repetition(
    service: RegistrationService, tmp_path: Path
) -> None:
    """I-8: nothing is told recorded that recovery would not count."""
    store = http_store(service, tmp_path)
    service.script = [Act.FAIL_AFTER]
    with pytest.raises(PortUnavailableError):
        await store.put([row(1)])
    await store.close()
    again = http_store(service, tmp_path)
    assert await noted(again) == []
    await again.put([row(1)])
    ((entry, _),) = await again.recorded_rows("prakerja", "", 9)
    assert (entry.content, entry.payload) == (digest(row(1).payload), b"")
    await again.close()
