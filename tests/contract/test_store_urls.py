"""Which store does a URL mean, and what is refused before anything is opened?"""

from pathlib import Path

import pytest

from gateway.stores.opening import StoreUrlError, open_store
from tests.contract.store_benches import RECORDED, recordings, row, rows_of


async def test_a_url_names_its_file_and_opens_nothing_yet(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for url, path in {
        "sqlite:///data/r.db": tmp_path / "data" / "r.db",
        f"sqlite:///{tmp_path}/s.db": tmp_path / "s.db",
    }.items():
        store = open_store(url)
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
        "postgresql:///db",
        "SQLITE:///r.db",
    ],
)
def test_an_unknown_url_is_refused_without_repeating_its_secrets(url: str) -> None:
    with pytest.raises(StoreUrlError, match="use sqlite:///") as refused:
        open_store(url)
    assert "hunter2" not in str(refused.value)
