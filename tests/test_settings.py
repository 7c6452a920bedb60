"""What the settings file and the environment promise."""

import random
from pathlib import Path

import msgspec
import pytest

from gateway.faults import ConfigurationError, Fault
from gateway.settings import Settings, load_settings, redacted

SHIPPED = Path("config/gateway.toml")


def load(tmp_path: Path, text: str = "", **environ: str) -> Settings:
    file = tmp_path / "gateway.toml"
    file.write_text(text, encoding="utf-8")
    return load_settings(file, environ)


def faults(tmp_path: Path, text: str = "", **environ: str) -> dict[str, str]:
    with pytest.raises(ConfigurationError) as refused:
        load(tmp_path, text, **environ)
    return {fault.key: fault.reason for fault in refused.value.faults}


def test_an_empty_file_is_a_whole_configuration(tmp_path: Path) -> None:
    assert load(tmp_path) == Settings()


def test_the_shipped_file_says_the_defaults_and_names_every_key() -> None:
    assert load_settings(SHIPPED, {}) == Settings()
    text = SHIPPED.read_text(encoding="utf-8")
    for section in msgspec.structs.fields(Settings):
        assert f"[{section.name}]" in text
        part = text.partition(f"[{section.name}]")[2].partition("\n[")[0]
        for key in msgspec.structs.fields(section.type):
            assert f"\n{key.name} = " in part or f"\n# {key.name} = " in part, key.name


def test_the_environment_overrides_the_file(tmp_path: Path) -> None:
    settings = load(
        tmp_path,
        '[public]\nport = 9000\n[redis]\nurl = "redis://file"',
        GATEWAY_REDIS_URL="unix:///run/valkey.sock",
        GATEWAY_PUBLIC_PORT="9001",
        GATEWAY_REDIS_UNSAFE_OK="true",
        GATEWAY_PROGRAMMES_FILES="a.toml, b.toml",
        PATH="/bin",
    )
    assert settings.redis.url == "unix:///run/valkey.sock"
    assert settings.public.port == 9001
    assert settings.redis.unsafe_ok is True
    assert settings.programmes.files == ("a.toml", "b.toml")


def test_every_fault_of_file_and_environment_is_told_at_once(tmp_path: Path) -> None:
    found = faults(
        tmp_path,
        '[public]\nport = "8080"\nhots = "x"\n[redis]\ntick_ms = 1\nunsafe_ok = 1\n'
        '[log]\nlevel = "loud"\n[sevre]\n[store]\nurl = "mysql://x"\n[serve]\nprocesses = true\n',
        GATEWAY_PUBLIC_PROT="1",
        GATEWAY_OPERATOR_PORT="many",
    )
    assert found == {
        "public.port": "must be a port: 1 to 65535, or 0 for any free one",
        "public.hots": "is unknown; did you mean host?",
        "redis.tick_ms": "must be milliseconds between ticks: a whole number from 50 to 2000",
        "redis.unsafe_ok": "must be true or false",
        "log.level": "must be one of debug, info, warning, error",
        "sevre": "is unknown; did you mean serve?",
        "store.url": "must be a URL: sqlite:///path/to/file.db, postgresql://… or https://…",
        "serve.processes": "must be front-door processes: a whole number from 1 to 64",
        "GATEWAY_PUBLIC_PROT": "is unknown; did you mean GATEWAY_PUBLIC_PORT?",
        "GATEWAY_OPERATOR_PORT": "must be a port: 1 to 65535, or 0 for any free one",
    }


def test_a_fault_names_file_key_and_reason(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as refused:
        load(tmp_path, "[public]\nport = 70000")
    reason = "must be a port: 1 to 65535, or 0 for any free one"
    assert refused.value.faults == (Fault(str(tmp_path / "gateway.toml"), "public.port", reason),)
    assert str(refused.value) == f"{tmp_path}/gateway.toml: public.port: {reason}"


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("public = 3", "public"),
        ("[programmes]\nfiles = []", "programmes.files"),
        ("[programmes]\nfiles = [1]", "programmes.files"),
        ("[programmes]\nfiles = 'one.toml'", "programmes.files"),
        ("[redis]\nurl = 'http://x'", "redis.url"),
        ("[redis]\nprefix = 'A B'", "redis.prefix"),
        ("[redis]\nprefix = 'gw\\n'".replace("'", '"'), "redis.prefix"),
        ("[public]\nhost = 'two words'", "public.host"),
        ("[serve]\nproblem_base = 'https://x/problems/'", "serve.problem_base"),
        ("[serve]\ndrain_s = 1.5", "serve.drain_s"),
        ("[serve]\nsecure_cookies = 'never'", "serve.secure_cookies"),
        ("[operator]\nport = 8080", "operator.port"),
        ("[data]\ndir = ''", "data.dir"),
    ],
)
def test_what_is_ill_typed_or_out_of_range_is_refused(tmp_path: Path, text: str, key: str) -> None:
    assert list(faults(tmp_path, text)) == [key]


def test_a_file_that_is_absent_unreadable_or_no_toml_is_refused_with_its_name(
    tmp_path: Path,
) -> None:
    broken = tmp_path / "broken.toml"
    broken.write_bytes(b"[public\n")
    latin = tmp_path / "latin.toml"
    latin.write_bytes(b"# \xff")
    for path, reason in (
        (tmp_path / "absent.toml", "No such file"),
        (tmp_path, "Is a directory"),
        (broken, "is not TOML"),
        (latin, "is not UTF-8"),
    ):
        with pytest.raises(ConfigurationError, match=reason) as refused:
            load_settings(path, {})
        assert str(path) in str(refused.value)


def test_store_and_secrets_move_with_the_data_unless_told_otherwise(tmp_path: Path) -> None:
    moved = load(tmp_path, "[data]\ndir = '/srv/gateway'")
    assert moved.store.url == "sqlite:////srv/gateway/registrations.db"
    assert moved.secrets.dir == "/srv/gateway/secrets"
    told = load(
        tmp_path,
        "[store]\nurl = 'sqlite:///there.db'",
        GATEWAY_DATA_DIR="x",
        GATEWAY_SECRETS_DIR="y",
    )
    assert (told.store.url, told.secrets.dir) == ("sqlite:///there.db", "y")


def test_variables_of_the_command_line_and_of_ctl_are_no_settings(tmp_path: Path) -> None:
    assert load(tmp_path, GATEWAY_CONFIG="x", GATEWAY_CTL_URL="y") == Settings()
    assert list(faults(tmp_path, GATEWAY_CONFIGURATION="x")) == ["GATEWAY_CONFIGURATION"]


def test_a_password_is_in_no_repr_and_in_no_reason(tmp_path: Path) -> None:
    settings = load(tmp_path, GATEWAY_REDIS_URL="rediss://user:hunter2@host:6380/0?x=hunter2")
    assert "hunter2" not in repr(settings)
    assert "hunter2" not in str(settings.redis)
    assert redacted(settings.redis.url) == "rediss://***@host:6380/0"
    assert "hunter2" not in str(faults(tmp_path, GATEWAY_REDIS_URL="redsi://:hunter2@host"))
    assert "hunter2" not in str(faults(tmp_path, GATEWAY_STORE_URL="postgres://:hunter2@host"))


def test_settings_are_immutable() -> None:
    with pytest.raises(AttributeError):
        Settings().public.port = 1  # type: ignore[misc]


def test_any_value_under_any_key_is_taken_or_refused_by_that_key(tmp_path: Path) -> None:
    seed = random.randrange(2**32)
    print("seed", seed)  # noqa: T201  shown when the test fails
    chance = random.Random(seed)
    known = [
        (section.name, key.name)
        for section in msgspec.structs.fields(Settings)
        for key in msgspec.structs.fields(section.type)
    ]
    values = [
        "1",
        "-1",
        '"x"',
        "[]",
        "true",
        "1.5",
        "nan",
        "{a = 1}",
        "1979-05-27",
        "[[1]]",
        '"\\u0000"',
    ]
    for _ in range(300):
        section, key = chance.choice([*known, ("public", "nothing"), ("nothing", "port")])
        text = f"[{section}]\n{key} = {chance.choice(values)}\n"
        try:
            load(tmp_path, text)
            refused: set[str] = set()
        except ConfigurationError as error:
            refused = {fault.key for fault in error.faults}
        assert refused <= {f"{section}.{key}", section}


@pytest.mark.parametrize(
    ("store", "key", "reason"),
    [
        ('url = "http://registry.example/v1"', "url", "in clear"),
        ('url = "https://me:hunter2@registry.example/v1"', "url", "no credentials"),
        ('url = "https:///v1"', "url", "name a host"),
        ('url = "https://registry.example/v1"\npost = "single"', "batch_max", "at most 50"),
        ("deadline_s = 15", "deadline_s", "from 1 to 14"),  # below what delivery grants
        ('post = "bulk"', "post", "one of batch, single"),
    ],
)
def test_a_store_that_would_send_registrations_astray_is_refused(
    tmp_path: Path, store: str, key: str, reason: str
) -> None:
    found = faults(tmp_path, f"[store]\n{store}\n")
    assert list(found) == [f"store.{key}"]
    assert reason in found[f"store.{key}"]
    assert "hunter2" not in found[f"store.{key}"]


def test_what_is_wrong_with_a_store_is_told_with_file_or_environment_alike(tmp_path: Path) -> None:
    found = faults(
        tmp_path,
        "[public]\nport = 9\n[operator]\nport = 9\n",
        GATEWAY_STORE_URL="http://registry.example/v1",
    )
    assert found.keys() == {"store.url", "operator.port"}


@pytest.mark.parametrize(
    "store",
    [
        'url = "http://127.0.0.1:9000/registrations"',
        'url = "http://localhost/registrations"',
        'url = "http://[::1]:9000"',
        'url = "http://registry.example/v1"\nallow_http = true',
        'url = "https://registry.example/v1"\npost = "single"\nbatch_max = 50',
        'url = "postgresql://gateway:hunter2@db.example/registrations?sslmode=verify-full"',
    ],
)
def test_a_store_that_is_safe_to_write_to_is_taken(tmp_path: Path, store: str) -> None:
    assert "hunter2" not in repr(load(tmp_path, f"[store]\n{store}\n"))


def test_a_trusted_proxy_is_a_network_and_never_everybody(tmp_path: Path) -> None:
    front = load(tmp_path, '[front]\ntrusted = ["10.0.0.0/8", "2001:db8::/32", "192.0.2.1"]').front
    assert front.trusted == ("10.0.0.0/8", "2001:db8::/32", "192.0.2.1")
    assert load(tmp_path, GATEWAY_FRONT_TRUSTED="10.0.0.0/8").front.trusted == ("10.0.0.0/8",)
    for wrong in ("10.0.0.1/8", "0.0.0.0/0", "::/0", "10.0.0.0/99", "proxy", ""):
        assert list(faults(tmp_path, f'[front]\ntrusted = ["{wrong}"]')) == ["front.trusted"]
    assert list(faults(tmp_path, GATEWAY_FRONT_TRUSTED="::/0")) == ["front.trusted"]


@pytest.mark.parametrize("key", ["joins_per_min", "polls_per_min"])
def test_a_limit_per_address_is_at_least_one(tmp_path: Path, key: str) -> None:
    for value, is_right in ((0, False), (1, True), (1_000_000, True), (1_000_001, False)):
        text = f"[front]\n{key} = {value}"
        if is_right:
            assert getattr(load(tmp_path, text).front, key) == value
        else:
            assert list(faults(tmp_path, text)) == [f"front.{key}"]
