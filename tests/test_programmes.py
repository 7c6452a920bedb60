"""What a programme's file promises."""

import base64
import re
import tomllib
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from gateway.core.form import Choice, check
from gateway.core.programme import Moment, Programme
from gateway.faults import ConfigurationError
from gateway.programme_documents import WAVES_MAX, moment
from gateway.programmes import load_programmes
from gateway.wording import load_worded

PRAKERJA = Path("config/programmes/prakerja-2020.toml")
DEMO = Path("config/programmes/demo.toml")
Change = Callable[[dict[str, Any]], object]


def toml(value: Any) -> str:
    """Write a value as TOML: tables inline, so that tests can change any part of a document."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{toml(key)} = {toml(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(toml, value)) + "]"
    if isinstance(value, datetime):
        return value.isoformat()
    return msgspec.json.encode(value).decode()


def load(tmp_path: Path, change: Change = lambda _: None, source: Path = PRAKERJA) -> Programme:
    document = tomllib.loads(source.read_text(encoding="utf-8"))
    change(document)
    file = tmp_path / source.name
    file.write_text("".join(f"{key} = {toml(value)}\n" for key, value in document.items()))
    (programme,) = load_programmes([file])
    return programme


def faults(tmp_path: Path, change: Change, source: Path = PRAKERJA) -> dict[str, str]:
    with pytest.raises(ConfigurationError) as refused:
        load(tmp_path, change, source)
    assert {fault.source for fault in refused.value.faults} == {str(tmp_path / source.name)}
    return {fault.key: fault.reason for fault in refused.value.faults}


def at_us(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * 1_000_000)


def test_the_first_wave_of_2020_stands_as_it_was_announced() -> None:
    (programme,) = load_programmes([PRAKERJA])
    (wave,) = programme.waves
    assert (programme.id, programme.zone, programme.selection) == (
        "prakerja-2020",
        "WIB",
        "lottery",
    )
    assert programme.person_field == "nik"
    assert (wave.id, wave.programme_id, wave.ordinal) == ("prakerja-2020-1", "prakerja-2020", 1)
    assert wave.opens_at == Moment(at_us("2020-04-11T12:00:00+00:00"))
    assert wave.closes_at == Moment(at_us("2020-04-16T09:00:00+00:00"))
    assert wave.policy.quota == 164_000


def test_its_form_asks_for_what_the_registration_needed() -> None:
    (programme,) = load_programmes([PRAKERJA])
    kinds = {field.name: (field.kind, field.required) for field in programme.fields}
    assert kinds == {
        "nik": ("nik", True),
        "family_card": ("digits", True),
        "name": ("text", True),
        "birth_date": ("birth-date", True),
        "mobile": ("phone", True),
        "email": ("email", False),
        "province": ("choice", True),
    }
    fields = {field.name: field for field in programme.fields}
    assert (fields["family_card"].min_length, fields["family_card"].max_length) == (16, 16)
    assert (fields["name"].min_length, fields["name"].max_length) == (1, 200)
    provinces = fields["province"].choices
    assert len({choice.value for choice in provinces}) == 34
    assert Choice("ID-JB", {"id": "Jawa Barat", "en": "West Java"}) in provinces
    assert fields["email"].hint == {"id": "", "en": ""}


def test_its_form_takes_an_ordinary_registration_and_needs_no_e_mail() -> None:
    (programme,) = load_programmes([PRAKERJA])
    values = {
        "nik": "3201014507900007",
        "family_card": "3201010101010001",
        "name": "Siti Rahayu",
        "birth_date": "1990-07-05",
        "mobile": "081234567890",
        "province": "ID-JB",
    }
    checked = check(programme.fields, values)
    assert isinstance(checked, dict), checked
    assert checked == {**values, "mobile": "+6281234567890"}


def test_the_demonstration_takes_the_numbers_that_its_hints_give() -> None:
    (programme,) = load_programmes([DEMO])
    fields = {field.name: field for field in programme.fields}
    for text in (*fields["nik"].hint.values(), *programme.prepare.values()):
        (nik,) = re.findall(r"\d{16}", text)
        assert isinstance(check(programme.fields, {"nik": nik, "name": "Siti"}), dict)


def test_the_demonstration_opens_shortly_after_its_room_was_made() -> None:
    (programme,) = load_programmes([DEMO])
    (wave,) = programme.waves
    made_at_us = 1_000_000_000
    assert wave.prequeue_at.at(made_at_us) == made_at_us
    assert wave.opens_at.at(made_at_us) == made_at_us + 40_000_000
    assert wave.closes_at.at(made_at_us) == made_at_us + 12 * 3_600_000_000
    assert wave.policy.quota <= 100


def test_a_programme_may_have_many_waves(tmp_path: Path) -> None:
    def add_waves(document: dict[str, Any]) -> None:
        first = document["waves"][0]
        document["waves"] = [
            {**first, "id": f"prakerja-2020-{ordinal}", "ordinal": ordinal}
            for ordinal in range(1, 36)
        ]

    assert [wave.ordinal for wave in load(tmp_path, add_waves).waves] == list(range(1, 36))


def update(**values: Any) -> Change:
    return lambda document: document.update(values)


def wave(**values: Any) -> Change:
    return lambda document: document["waves"][0].update(values)


def policy(**values: Any) -> Change:
    return lambda document: document["waves"][0]["policy"].update(values)


def field(index: int, **values: Any) -> Change:
    return lambda document: document["fields"][index].update(values)


BOTH = {"id": "a", "en": "b"}
W = "waves[prakerja-2020-1]"


@pytest.mark.parametrize(
    ("change", "key", "reason"),
    [
        (update(id="Prakerja 2020"), "id", "must be 1 to 64 of a-z, 0-9 and -"),
        (update(id="a{b}"), "id", "must be 1 to 64 of a-z, 0-9 and -"),
        (update(id="a\n"), "id", "must be 1 to 64 of a-z, 0-9 and -"),
        (update(nmae=BOTH), "nmae", "is unknown; did you mean name?"),
        (update(name={"id": "a"}), "name.en", "is missing"),
        (
            update(name={"id": "a", "en": ""}),
            "name.en",
            "must be one line of text, 1 to 300 characters",
        ),
        (update(name={"id": "a\u202eb", "en": "b"}), "name.id", "must be one line of text"),
        (update(prepare={**BOTH, "fr": "c"}), "prepare.fr", "is unknown"),
        (update(zone="CET"), "zone", "must be one of WIB, WITA, WIT"),
        (update(selection="random"), "selection", "must be one of first-come, lottery"),
        (update(demo=1), "demo", "must be true or false"),
        (update(person_field="ktp"), "person_field", "must be the name of a field"),
        (update(person_field="email"), "person_field", "email must be required"),
        (update(fields=[]), "fields", "must hold 1 to 32, not 0"),
        (update(fields={}), "fields", "must be a list of tables"),
        (update(waves=[]), "waves", f"must hold 1 to {WAVES_MAX}, not 0"),
        (update(waves=[3]), "waves[1]", "must be a table"),
        (lambda d: d["fields"].append(d["fields"][0]), "fields", "nik stands there 2 times"),
        (lambda d: d["waves"].append(d["waves"][0]), "waves", "ordinal 1 stands there 2 times"),
        (lambda d: d.pop("help_line"), "help_line", "is missing"),
        (wave(id="Gelombang-1"), "waves[Gelombang-1].id", "must be 1 to 64 of a-z, 0-9 and -"),
        (wave(ordinal=0), f"{W}.ordinal", "must be a whole number from 1 to 9999"),
        (wave(opens_at="2020-04-11T19:00:00+07:00"), f"{W}.opens_at", "must be a date-time"),
        (wave(opens_at=1_586_606_400), f"{W}.opens_at", "must be a date-time with offset"),
        (wave(opens_at=datetime(2020, 4, 11, 19)), f"{W}.opens_at", "needs its offset"),  # noqa: DTZ001
        (wave(opens_at="+45s"), W, "its instants must be all distances or all date-times"),
        (
            wave(opens_at=datetime.fromisoformat("2021-01-01T00:00:00Z")),
            W,
            "needs prequeue_at before",
        ),
        (wave(policy={}), f"{W}.policy.quota", "is missing"),
        (wave(policy=3), f"{W}.policy", "must be a table"),
        (policy(rate_per_s="10"), f"{W}.policy.rate_per_s", "must be a float"),
        (policy(qouta=1), f"{W}.policy.qouta", "is not a policy field"),
        (policy(quota=-1), f"{W}.policy.quota", "must be from 0 to"),
        (policy(burst=51), f"{W}.policy.burst", "is more than one second of rate"),
        (
            field(0, autocomplete="cc-number"),
            "fields[nik].autocomplete",
            "must be one of name, given-name",
        ),
        (field(0, kind="number"), "fields[nik].kind", "must be one of nik, digits, text"),
        (field(0, name="NIK"), "fields[NIK].name", "must be a letter, then at most 31 of"),
        (field(0, max_length=17), "fields[nik]", "a nik has one form"),
        (field(2, min_length=201), "fields[name].max_length", "at least min_length"),
        (field(2, max_length=0, min_length=0), "fields[name].max_length", "must be at least 1"),
        (field(2, max_length=True), "fields[name].max_length", "must be a length from 0 to 1000"),
        (
            field(2, choices=[{"value": "a", "label": BOTH}]),
            "fields[name].choices",
            "only a field of",
        ),
        (field(6, choices=[]), "fields[province].choices", "must hold 1 to 600, not 0"),
        (
            field(6, choices=[{"value": "a", "label": BOTH}] * 2),
            "fields[province].choices",
            "a stands there 2 times",
        ),
        (
            field(6, choices=[{"value": "a b", "label": BOTH}]),
            "fields[province].choices[1].value",
            "must be 1 to 64 letters",
        ),
    ],
)
def test_what_is_wrong_is_refused_with_file_key_and_reason(
    tmp_path: Path, change: Change, key: str, reason: str
) -> None:
    found = faults(tmp_path, change)
    assert reason in found[key]
    assert set(found) <= {key, "person_field"}  # without fields there is none that names a person


def test_faults_in_different_tables_are_told_at_once(tmp_path: Path) -> None:
    def spoil(document: dict[str, Any]) -> None:
        document["zone"] = "CET"
        document["waves"][0]["policy"]["burst"] = 51
        document["waves"][0]["opens_at"] = "soon"
        document["fields"][0]["max_length"] = 17
        document["fields"][2]["label"]["en"] = ""

    assert set(faults(tmp_path, spoil)) == {
        "zone",
        "fields[nik]",
        "fields[name].label.en",
        f"{W}.opens_at",
        f"{W}.policy.burst",
    }


LOGO = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1 1"><script>alert(1)</script></svg>'


def test_a_programme_looks_and_speaks_as_its_file_says(tmp_path: Path) -> None:
    (tmp_path / "logo.svg").write_text(LOGO)
    look = {"logo": "logo.svg", "colour": "#7a1f1f", "colour_dark": "#f5b0a0"}
    words = {"home.lead": {"id": "Selamat datang.", "en": "Welcome."}}
    programme = load(tmp_path, lambda d: d.update(look=look, texts=words))
    kind, _, data = programme.look.logo.partition(",")
    assert (kind, base64.b64decode(data).decode()) == ("data:image/svg+xml;base64", LOGO)
    assert (programme.look.colour, programme.look.colour_dark) == ("#7a1f1f", "#f5b0a0")
    assert programme.texts == words


@pytest.mark.parametrize(
    ("look", "key", "reason"),
    [
        ({"colour": "red"}, "look.colour", "must be a colour such as #0b4f8a"),
        ({"colour": "#0b4f8a}body{"}, "look.colour", "must be a colour such as #0b4f8a"),
        (
            {"colour": "#ffff00"},
            "look.colour",
            "has a contrast of 1.0:1; people need 4.5:1 to read it",
        ),
        ({"colour_dark": "#0b4f8a"}, "look.colour_dark", "has a contrast of"),
        ({"logo": "logo.gif"}, "look.logo", "must end in .svg or .png"),
        ({"logo": "none.svg"}, "look.logo", "cannot be read: No such file"),
        ({"logo": "large.png"}, "look.logo", "every page carries it, so at most 1024"),
    ],
)
def test_a_look_that_people_could_not_read_or_load_is_refused(
    tmp_path: Path, look: dict[str, str], key: str, reason: str
) -> None:
    (tmp_path / "large.png").write_bytes(bytes(1025))
    assert reason in faults(tmp_path, lambda d: d.update(look=look))[key]


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("home.leed", "Welcome.", "is not a text of the pages"),
        ("countdown", "In {hours}", "has no value for hours"),
        ("countdown", "In {time", "has no value for a stray brace"),
    ],
)
def test_own_words_have_to_fit_the_places_they_stand_in(
    tmp_path: Path, name: str, text: str, reason: str
) -> None:
    file = tmp_path / "own.toml"
    own = f'\n[texts]\n"{name}" = {{ id = "{text}", en = "{text}" }}\n'
    file.write_text(PRAKERJA.read_text() + own)
    with pytest.raises(ConfigurationError) as refused:
        load_worded([file])
    assert {fault.reason for fault in refused.value.faults} == {reason}


def test_distances_are_for_demonstrations_only(tmp_path: Path) -> None:
    found = faults(tmp_path, lambda document: document.pop("demo"), DEMO)
    assert found == {"waves[demo-1]": "distances are for programmes that say demo = true"}


@pytest.mark.parametrize(
    ("text", "us"),
    [("+0s", 0), ("+45s", 45_000_000), ("+2m", 120_000_000), ("+12h", 43_200_000_000)],
)
def test_a_distance_counts_from_the_making_of_the_room(text: str, us: int) -> None:
    assert moment(text) == Moment(us, relative=True)


@pytest.mark.parametrize(
    "value",
    [
        "45s",
        "+45",
        "-45s",
        "+ 45s",
        "+45s ",
        "+1.5h",
        "+4５s",
        "+1d",
        "+1234567s",
        "",
        None,
        45,
        True,
    ],
)
def test_nothing_else_is_a_distance(value: object) -> None:
    assert isinstance(moment(value), str)


def test_an_instant_before_1970_is_refused() -> None:
    assert moment(datetime.fromisoformat("1969-12-31T23:59:59+00:00")) == "must not be before 1970"


def test_instants_keep_their_microseconds() -> None:
    text = "2020-04-11T19:00:00.123457+07:00"
    assert moment(datetime.fromisoformat(text)) == Moment(
        at_us("2020-04-11T12:00:00+00:00") + 123_457
    )


def test_ids_are_unique_over_all_files(tmp_path: Path) -> None:
    load(tmp_path, update(id="other"))
    with pytest.raises(ConfigurationError) as refused:
        load_programmes([PRAKERJA, DEMO, tmp_path / PRAKERJA.name])
    (fault,) = refused.value.faults
    assert str(fault) == f"{tmp_path / PRAKERJA.name}: wave prakerja-2020-1: is also in {PRAKERJA}"
    with pytest.raises(ConfigurationError, match="programme demo: is also in"):
        load_programmes([DEMO, DEMO])


def test_all_files_are_read_before_anything_is_refused(tmp_path: Path) -> None:
    missing = [tmp_path / "one.toml", tmp_path / "two.toml"]
    with pytest.raises(ConfigurationError) as refused:
        load_programmes([missing[0], DEMO, missing[1]])
    assert [fault.source for fault in refused.value.faults] == [str(path) for path in missing]
