"""Where credentials are kept, renewed and revoked."""

import json
import os
import time
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from gateway import operators
from gateway.core.credentials import LIFE_S_MAX, Role, enrol, find, read_operators, write_operators
from gateway.faults import ConfigurationError
from gateway.operators import OperatorsFile, renew_credential
from gateway.operators_command import operators as operators_group
from gateway.secrets import CREDENTIAL, OPERATORS, make_secrets

NOW_US = time.time_ns() // 1000
DAY_US = 86_400 * 1_000_000


def held(directory: Path) -> str:
    return (directory / CREDENTIAL).read_text().strip()


def rewrite(path: Path, text: str) -> None:
    draft = path.with_suffix(".draft")
    draft.write_text(text)
    draft.chmod(0o400)
    draft.rename(path)


@pytest.fixture
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(operators, "LOOK_EVERY_S", 0.0)


def test_a_credential_is_made_where_there_is_none_and_it_opens(tmp_path: Path) -> None:
    renew_credential(tmp_path)
    owner = find(OperatorsFile(tmp_path)(), held(tmp_path))
    assert owner is not None
    assert (owner.id, owner.role) == ("local", Role.ADMIN)
    assert owner.expires_at_us - owner.issued_at_us <= LIFE_S_MAX * 1_000_000
    for name in (CREDENTIAL, OPERATORS):
        assert (tmp_path / name).stat().st_mode & 0o777 == 0o400
    assert held(tmp_path) not in (tmp_path / OPERATORS).read_text()
    assert sorted(path.name for path in tmp_path.iterdir()) == [CREDENTIAL, OPERATORS]


def test_the_first_starts_credential_opens_and_is_left_alone_while_it_lives(tmp_path: Path) -> None:
    make_secrets(tmp_path / "secrets")
    before = held(tmp_path / "secrets")
    assert find(OperatorsFile(tmp_path / "secrets")(), before) is not None
    renew_credential(tmp_path / "secrets")
    assert held(tmp_path / "secrets") == before


@pytest.mark.parametrize("age_days", [84, 90, 200])
def test_one_that_ends_within_a_week_is_renewed_and_others_are_kept(
    tmp_path: Path, age_days: int
) -> None:
    text, old = enrol("local", Role.ADMIN, bytes(32), now_us=NOW_US - age_days * DAY_US)
    _, rina = enrol("rina", Role.VIEWER, bytes([1] * 32), now_us=NOW_US)
    rewrite(tmp_path / OPERATORS, write_operators([old, rina]))
    rewrite(tmp_path / CREDENTIAL, text)
    renew_credential(tmp_path)
    assert held(tmp_path) != text
    known = read_operators((tmp_path / OPERATORS).read_text())
    assert [operator.id for operator in known] == ["rina", "local"]
    assert find(known, text) is None
    assert find(known, held(tmp_path)) is not None


@pytest.mark.parametrize("lost", [CREDENTIAL, OPERATORS])
def test_half_of_the_pair_is_renewed(tmp_path: Path, lost: str) -> None:
    renew_credential(tmp_path)
    (tmp_path / lost).unlink()
    renew_credential(tmp_path)
    assert find(OperatorsFile(tmp_path)(), held(tmp_path)) is not None


def test_a_draft_left_by_a_crash_is_no_obstacle(tmp_path: Path) -> None:
    (tmp_path / f".{OPERATORS}.{os.getpid()}").write_text("half")
    renew_credential(tmp_path)
    assert find(OperatorsFile(tmp_path)(), held(tmp_path)) is not None


@pytest.mark.usefixtures("no_pause")
def test_what_is_taken_out_of_the_file_opens_nothing_any_more(tmp_path: Path) -> None:
    renew_credential(tmp_path)
    known = OperatorsFile(tmp_path)
    assert find(known(), held(tmp_path)) is not None
    rewrite(tmp_path / OPERATORS, write_operators([]))
    assert known() == ()


def test_the_file_is_looked_at_at_least_once_a_second() -> None:
    assert operators.LOOK_EVERY_S < 1


@pytest.mark.usefixtures("no_pause")
@pytest.mark.parametrize("text", ["", "{}", "\xff"])
def test_a_file_that_breaks_while_we_run_opens_nothing_until_it_is_whole_again(
    tmp_path: Path, text: str
) -> None:
    renew_credential(tmp_path)
    whole = (tmp_path / OPERATORS).read_text()
    known = OperatorsFile(tmp_path)
    rewrite(tmp_path / OPERATORS, text)
    assert known() == ()
    (tmp_path / OPERATORS).unlink()
    assert known() == ()
    rewrite(tmp_path / OPERATORS, whole)
    assert len(known()) == 1


@pytest.mark.parametrize(
    ("text", "mode", "reason"),
    [
        ("{", 0o400, "is not JSON"),
        (json.dumps({"version": 1, "operators": []}), 0o666, "can be changed by others"),
        (None, 0o400, "cannot be read: No such file"),
    ],
)
def test_a_start_without_a_usable_file_is_refused_with_its_name_and_reason(
    tmp_path: Path, text: str | None, mode: int, reason: str
) -> None:
    path = tmp_path / OPERATORS
    if text is not None:
        path.write_text(text)
        path.chmod(mode)
    with pytest.raises(ConfigurationError, match=reason) as caught:
        OperatorsFile(tmp_path)
    assert caught.value.faults[0].source == str(path)


def run(config: Path, *words: str) -> Result:
    return CliRunner().invoke(
        operators_group, [words[0], "--config", str(config), *words[1:]], catch_exceptions=True
    )


@pytest.fixture
def config(tmp_path: Path) -> Path:
    (tmp_path / "secrets").mkdir()
    file = tmp_path / "gateway.toml"
    file.write_text(f'[data]\ndir = "{tmp_path}"\n')
    return file


def test_a_credential_is_made_into_a_file_of_its_own_and_revoked_at_once(
    tmp_path: Path, config: Path, no_pause: None
) -> None:
    renew_credential(tmp_path / "secrets")
    known = OperatorsFile(tmp_path / "secrets")
    taken = tmp_path / "rina.credential"
    result = run(config, "add", "--role", "helpdesk", "--days", "7", "rina", str(taken))
    assert result.exit_code == 0, result.output
    text = taken.read_text().strip()
    assert text not in result.output
    assert taken.stat().st_mode & 0o777 == 0o400
    rina = find(known(), text)
    assert rina is not None
    assert (rina.id, rina.role) == ("rina", Role.HELPDESK)
    assert rina.expires_at_us - rina.issued_at_us == 7 * DAY_US
    listed = run(config, "list").output
    assert "rina" in listed
    assert "helpdesk" in listed
    assert text not in listed
    assert run(config, "revoke", "rina").exit_code == 0
    assert find(known(), text) is None
    assert [operator.id for operator in known()] == ["local"]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("add", "--role", "viewer", "local", "new"), "revoke it first"),
        (("add", "--role", "viewer", "budi", "there"), "is there already"),
        (("add", "--role", "viewer", "Budi!", "new"), "an id has"),
        (("revoke", "nobody"), "has no credential"),
    ],
)
def test_what_would_overwrite_or_miss_somebody_is_refused(
    tmp_path: Path, config: Path, words: tuple[str, ...], told: str
) -> None:
    renew_credential(tmp_path / "secrets")
    (tmp_path / "there").write_text("kept")
    before = (tmp_path / "secrets" / OPERATORS).read_text()
    paths = [str(tmp_path / word) if word in {"new", "there"} else word for word in words]
    result = run(config, *paths)
    assert isinstance(result.exception, ConfigurationError)
    assert told in str(result.exception)
    assert (tmp_path / "secrets" / OPERATORS).read_text() == before
    assert (tmp_path / "there").read_text() == "kept"
    assert not (tmp_path / "new").exists()
