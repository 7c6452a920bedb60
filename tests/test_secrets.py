"""What the files of keys promise."""

import stat
from pathlib import Path

import pytest

from gateway.core.credentials import Role, find, read_operators
from gateway.core.tickets import Key
from gateway.faults import ConfigurationError
from gateway.secrets import (
    CREDENTIAL,
    OPERATORS,
    RINGS,
    SINGLES,
    exist,
    load_secrets,
    make_payload_keys,
    make_secrets,
)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    directory = tmp_path / "data" / "secrets"
    make_secrets(directory)
    return directory


def write(path: Path, text: str, mode: int = 0o400) -> None:
    path.unlink(missing_ok=True)
    path.write_text(text)
    path.chmod(mode)


def refusal(directory: Path) -> str:
    with pytest.raises(ConfigurationError) as refused:
        load_secrets(directory)
    return str(refused.value)


def test_new_keys_are_random_private_and_complete(directory: Path, tmp_path: Path) -> None:
    assert {path.name for path in directory.iterdir()} == {*RINGS, *SINGLES, CREDENTIAL, OPERATORS}
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in directory.iterdir()} == {0o400}
    make_secrets(tmp_path / "other")
    one, other = load_secrets(directory), load_secrets(tmp_path / "other")
    keys = {
        key
        for secrets in (one, other)
        for key in (
            secrets.ticket.current.secret,
            secrets.pass_.current.secret,
            secrets.pepper,
            secrets.draw,
        )
    }
    assert len(keys) == 8
    assert {len(key) for key in keys} == {32}


def test_keys_are_made_together_or_not_at_all(directory: Path) -> None:
    before = {path.name: path.read_text() for path in directory.iterdir()}
    with pytest.raises(OSError, match="not empty"):
        make_secrets(directory)
    assert {path.name: path.read_text() for path in directory.iterdir()} == before
    assert [path.name for path in directory.parent.iterdir()] == ["secrets"]


def test_the_first_operator_is_known_by_the_credential_beside_the_keys(directory: Path) -> None:
    credential = (directory / CREDENTIAL).read_text().strip()
    (operator,) = read_operators((directory / OPERATORS).read_text())
    assert find([operator], credential) == operator
    assert operator.role is Role.ADMIN
    assert credential not in (directory / OPERATORS).read_text()


def test_one_key_is_enough_to_exist(directory: Path, tmp_path: Path) -> None:
    assert exist(directory)
    assert not exist(tmp_path / "nowhere")
    for name in [*RINGS, *SINGLES][1:]:
        (directory / name).unlink()
    assert exist(directory)


def test_the_previous_and_the_next_key_verify_beside_the_current_one(directory: Path) -> None:
    write(directory / "ticket.key.previous", f"0 {'aa' * 32}\n")
    write(directory / "ticket.key.next", f"255 {'bb' * 32}")
    secrets = load_secrets(directory)
    assert secrets.ticket.current.id == 1
    assert secrets.ticket.others == (Key(0, b"\xaa" * 32), Key(255, b"\xbb" * 32))
    assert secrets.pass_.others == ()


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("ticket.key", ""),
        ("ticket.key", "aa" * 32),
        ("ticket.key", f"256 {'aa' * 32}\n"),
        ("ticket.key", f"-1 {'aa' * 32}\n"),
        ("ticket.key", f"01 {'aa' * 32}\n"),
        ("pass.key", f"1 {'aa' * 31}\n"),
        ("pass.key", f"1 {'AA' * 32}\n"),
        ("pass.key.next", f"1 {'aa' * 33}\n"),
        ("pass.key.next", f"1 {'aa' * 32}\n"),  # the current one has this id
        ("pepper.key", "aa" * 16),
        ("draw.key", f"{'aa' * 32}\n\n"),
        ("draw.key", "é" * 32),
    ],
)
def test_a_malformed_key_is_refused_by_name_and_never_shown(
    directory: Path, name: str, text: str
) -> None:
    write(directory / name, text)
    said = refusal(directory)
    assert str(directory / name.removesuffix(".next")) in said
    assert "aaaa" not in said.lower()


def test_every_bad_file_is_told_at_once(directory: Path) -> None:
    (directory / "ticket.key").unlink()
    (directory / "pass.key").chmod(0o404)
    write(directory / "pepper.key", "x")
    said = refusal(directory).splitlines()
    assert said == [
        f"{directory}/ticket.key: cannot be read: No such file or directory",
        f"{directory}/pass.key: is open to everybody: chmod 0400 it",
        f"{directory}/pepper.key: must hold 64 hex digits",
    ]


@pytest.mark.parametrize("mode", [0o404, 0o402, 0o401, 0o444, 0o666])
def test_a_key_open_to_everybody_is_refused(directory: Path, mode: int) -> None:
    (directory / "draw.key").chmod(mode)
    assert "is open to everybody" in refusal(directory)


@pytest.mark.parametrize("mode", [0o400, 0o600, 0o440])
def test_a_key_for_owner_and_group_is_taken(directory: Path, mode: int) -> None:
    (directory / "draw.key").chmod(mode)
    load_secrets(directory)


def test_keys_are_in_no_repr(directory: Path) -> None:
    secrets = load_secrets(directory)
    assert repr(secrets) == "Secrets()"


def test_payload_keys_are_made_once_for_each_programme(directory: Path) -> None:
    make_payload_keys(directory, ["one"])
    one = load_secrets(directory, ["one"], encrypt=True).payload["one"]
    make_payload_keys(directory, ["one", "two"])
    both = load_secrets(directory, ["one", "two"], encrypt=True).payload
    assert both["one"] == one
    assert both["two"].current.secret != one.current.secret
    assert stat.S_IMODE((directory / "payload-two.key").stat().st_mode) == 0o400
    write(directory / "payload-two.key.previous", f"7 {'aa' * 32}\n")
    assert load_secrets(directory, ["two"]).payload["two"].find(7) == Key(7, b"\xaa" * 32)


def test_a_payload_key_may_be_missing_only_where_nothing_is_sealed(directory: Path) -> None:
    assert load_secrets(directory, ["one"]).payload == {}
    with pytest.raises(ConfigurationError, match=r"payload-one\.key: cannot be read"):
        load_secrets(directory, ["one"], encrypt=True)
