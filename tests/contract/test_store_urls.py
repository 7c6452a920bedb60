"""Which store does a URL mean, and what is refused before anything is opened?"""

from pathlib import Path

import pytest

from gateway.faults import ConfigurationError
from gateway.ports import PortUnavailableError
from gateway.settings import Settings, load_settings
from gateway.store_settings import store_of
from gateway.stores.http import HttpStore
from gateway.stores.opening import StoreOptions, StoreUrlError, open_store
from gateway.stores.postgres import PostgresStore
from tests.contract.store_benches import RECORDED, digest, recordings, row, rows_of

OPTIONS = StoreOptions(ledger=Path("ledger.db"), content=digest, deadline_s=1.0)


async def test_a_url_names_its_file_and_opens_nothing_yet(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for url, path in {
        "sqlite:///data/r.db": tmp_path / "data" / "r.db",
        f"sqlite:///{tmp_path}/s.db": tmp_path / "s.db",
    }.items():
        store = open_store(url, OPTIONS)
        assert not path.exists()
        assert await recordings(store, row(1)) == [RECORDED]
        await store.close()
        assert rows_of(path).keys() == {"R1"}


@pytest.mark.parametrize(
    "url",
    [
        "",
        "registrations.db",
        "sqlite://host/r.db",
        "sqlite:///",
        "sqlite:///:memory:",
        "sqlite:///a\0b",
        "mysql://u:hunter2@h/db",
        "postgresql://",
        "postgres:hunter2",
        "https://",
        "ftp://u:hunter2@h/",
        "SQLITE:///r.db",
    ],
)
def test_an_unknown_url_is_refused_without_repeating_its_secrets(url: str) -> None:
    with pytest.raises(StoreUrlError, match=r"; use sqlite:///") as refused:
        open_store(url, OPTIONS)
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize(
    ("url", "kind"),
    [
        ("postgresql://u@h/db", PostgresStore),
        ("postgresql:///db?host=/run/postgresql", PostgresStore),
        ("https://registry.example/v1", HttpStore),
        ("http://127.0.0.1:9/v1", HttpStore),
    ],
)
async def test_servers_are_named_by_their_scheme(url: str, kind: type) -> None:
    store = open_store(url, OPTIONS)
    assert isinstance(store, kind)
    await store.close()
    with pytest.raises(PortUnavailableError, match="closed"):
        await store.put([row(1)])


def settings_for(tmp_path: Path, credential: str, mode: int) -> Settings:
    file = tmp_path / "store.credential"
    file.write_text(credential)
    file.chmod(mode)
    return load_settings(
        None,
        {
            "GATEWAY_STORE_URL": "https://registry.example/v1",
            "GATEWAY_STORE_CREDENTIAL_FILE": str(file),
            "GATEWAY_DATA_DIR": str(tmp_path),
        },
    )


def test_a_credential_comes_from_a_file_and_is_in_no_repr(tmp_path: Path) -> None:
    store = store_of(settings_for(tmp_path, "hunter2\n", 0o400), b"pepper")
    assert isinstance(store, HttpStore)
    assert store._service._headers["Authorization"] == "Bearer hunter2"
    assert "hunter2" not in repr(vars(store))


@pytest.mark.parametrize(
    ("credential", "mode", "reason"),
    [
        ("hunter2\n", 0o404, "open to everybody"),
        ("", 0o400, "must hold one line"),
        ("hunter2\r\nX-Other: 1\n", 0o400, "must hold one line"),
    ],
)
def test_a_credential_that_is_open_or_malformed_is_refused(
    tmp_path: Path, credential: str, mode: int, reason: str
) -> None:
    with pytest.raises(ConfigurationError, match=reason) as refused:
        store_of(settings_for(tmp_path, credential, mode), b"pepper")
    assert "hunter2" not in str(refused.value)
