"""Registrations in a file for others: whole, for the owner's eyes only, and no formula in it (R-17)."""

import asyncio
import csv
import io
import json
import stat
from itertools import count
from pathlib import Path
from typing import Any

import click
import pytest

from gateway import export
from gateway.export_command import run
from gateway.programmes import load_programmes
from gateway.settings import Settings, load_settings
from gateway.stores.ledger import Ledger
from gateway.stores.sqlite import SqliteStore
from tests.contract.store_benches import digest, row

PROGRAMMES = load_programmes(("config/programmes/demo.toml",))
FORMS = {
    "R1": {"nik": "3201014507900007", "name": "=cmd|' /C calc'!A0"},
    "R2": {
        "nik": "3201014507900008",
        "name": 'Siti "é" 🙂, S.Kom\nBandung',
        "mobile": "+6281234567",
        "more": "y",
    },
}


def settings_for(folder: Path) -> Settings:
    return load_settings(None, {"GATEWAY_DATA_DIR": str(folder)})


async def fill(folder: Path, extra: int = 0) -> None:
    store = SqliteStore(folder / "registrations.db", now_us=count(1_000_000).__next__)
    forms = FORMS | {f"R{n}": {"nik": str(n), "name": "x"} for n in range(1_000, 1_000 + extra)}
    rows: list[Any] = [
        row(
            serial,
            receipt=receipt,
            programme_id="demo",
            payload=json.dumps(form, ensure_ascii=False).encode(),
        )
        for serial, (receipt, form) in enumerate(forms.items(), 1)
    ]
    await store.put(rows)
    await store.close()


def exported(folder: Path, kind: str) -> str:
    path = folder / f"out.{kind}"
    run(settings_for(folder), PROGRAMMES, "demo", kind, path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    return path.read_bytes().decode()


def test_a_csv_holds_every_field_in_its_column_and_no_formula(tmp_path: Path) -> None:
    asyncio.run(fill(tmp_path))
    head, one, two = csv.reader(io.StringIO(exported(tmp_path, "csv")))
    assert head == [*export.HEAD, "nik", "name", "mobile", "other"]
    assert one[0] == "R1"
    assert one[2] == "2020-04-11T12:00:00.000001+00:00"
    assert one[4:] == [FORMS["R1"]["nik"], "'" + FORMS["R1"]["name"], "", ""]
    assert two[4:] == [*list(FORMS["R2"].values())[:2], "+6281234567", '{"more": "y"}']


def test_json_lines_hold_the_forms_as_they_were_acknowledged(tmp_path: Path) -> None:
    asyncio.run(fill(tmp_path))
    lines = exported(tmp_path, "jsonl").splitlines()
    documents = [json.loads(line) for line in lines]
    assert [document["form"] for document in documents] == list(FORMS.values())
    assert documents[0].keys() == {*export.HEAD, "form"}
    assert json.dumps(FORMS["R1"], ensure_ascii=False) in lines[0]


def test_every_page_is_exported_once(tmp_path: Path) -> None:
    asyncio.run(fill(tmp_path, extra=1_200))
    receipts = [line[0] for line in csv.reader(io.StringIO(exported(tmp_path, "csv")))][1:]
    assert len(receipts) == len(set(receipts)) == 1_202


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ("=1+1", "'=1+1"),
        ("+SUM(A1)", "'+SUM(A1)"),
        ("-2+3", "'-2+3"),
        ("@x", "'@x"),
        ("\t=1", "'\t=1"),
        ("\r=1", "'\r=1"),
        ("+6281234567", "+6281234567"),
        ("-5", "-5"),
        ("a=1", "a=1"),
        (7, "7"),
        ("", ""),
    ],
)
def test_what_a_spreadsheet_would_run_gets_a_leading_quote(value: object, told: str) -> None:
    assert export.cell(value) == told


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    asyncio.run(fill(tmp_path))
    (tmp_path / "out.csv").write_text("mine")
    with pytest.raises(FileExistsError):
        exported(tmp_path, "csv")
    assert (tmp_path / "out.csv").read_text() == "mine"


def test_a_store_that_is_away_leaves_no_half_a_file(tmp_path: Path) -> None:
    (tmp_path / "registrations.db").mkdir()
    with pytest.raises(click.ClickException, match="nothing was exported"):
        exported(tmp_path, "csv")
    assert not (tmp_path / "out.csv").exists()


def test_forms_that_a_service_keeps_are_not_made_up(tmp_path: Path) -> None:
    async def note() -> None:
        ledger = Ledger(tmp_path / "ledger.db", now_us=lambda: 1, content=digest)
        await ledger.note([row(1, programme_id="demo")])
        await ledger.close()

    asyncio.run(note())
    settings = load_settings(
        None, {"GATEWAY_DATA_DIR": str(tmp_path), "GATEWAY_STORE_URL": "https://registry.example/"}
    )
    with pytest.raises(click.ClickException, match="service keeps the forms"):
        run(settings, PROGRAMMES, "demo", "csv", tmp_path / "out.csv")
    assert not (tmp_path / "out.csv").exists()


def test_an_unknown_programme_is_told_with_those_that_are_known(tmp_path: Path) -> None:
    with pytest.raises(click.ClickException, match="no programme 'x'; there is demo"):
        run(settings_for(tmp_path), PROGRAMMES, "x", "csv", tmp_path / "out.csv")
