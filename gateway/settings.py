"""What does this deployment fix? ``gateway.toml``, overridden by ``GATEWAY_<SECTION>_<KEY>``.

Settings need a restart; what operators change live is a policy. Every key has a default, so an
empty file is a whole configuration. Paths are relative to the working directory.
"""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta

from gateway.configuration import Reader, Table, read_toml, unknown
from gateway.core.hops import networks
from gateway.faults import ConfigurationError, Fault
from gateway.setting_kinds import (
    Cidr,
    Descriptor,
    FilePath,
    Host,
    OptionalPath,
    Port,
    RedisUrl,
    StoreUrl,
    whole,
)

EMBEDDED = "embedded"  # the redis.url for which `gateway up` starts a Valkey of its own
ENVIRONMENT_PREFIX = "GATEWAY_"
CONFIG_VARIABLE = "GATEWAY_CONFIG"  # where the file is
CTL_PREFIX = "GATEWAY_CTL_"  # the operator's own variables

SINGLE_ROWS_MAX = 50  # one call each, within one deadline
LOOPBACK = re.compile(r"http://(localhost|127\.[0-9.]+|\[::1\])([:/].*)?")


class Public(Table, frozen=True):
    host: Host = "127.0.0.1"
    port: Port = 8080
    descriptor: Descriptor = -1  # of a socket that listens there already, from whoever started us


class Front(Table, frozen=True):
    trusted: tuple[Cidr, ...] = ()  # proxies in front: what they forward is believed
    joins_per_min: Annotated[int, whole(1, 1_000_000, "new tickets a minute and address")] = 300
    polls_per_min: Annotated[int, whole(1, 1_000_000, "requests a minute and address")] = 3_000

    def conflicts(self) -> Iterable[tuple[str, str]]:
        """Yield (key, reason) for networks that are none."""
        try:
            networks(self.trusted)
        except ValueError:
            yield "trusted", "must hold networks such as 10.0.0.0/8, and not everybody's"


class Operator(Table, frozen=True):
    host: Host = "127.0.0.1"
    port: Port = 8081
    descriptor: Descriptor = -1


class Redis(Table, frozen=True):
    url: RedisUrl = EMBEDDED
    prefix: Annotated[
        str, Meta(pattern=r"\A[a-z0-9-]{1,32}\Z", description="1 to 32 of a-z, 0-9 and -")
    ] = "gw"
    tick_ms: Annotated[int, whole(50, 2_000, "milliseconds between ticks")] = 200
    unsafe_ok: bool = False  # true: run on a Redis that may lose what it acknowledged

    def __repr__(self) -> str:
        return (
            f"Redis(url={redacted(self.url)!r}, prefix={self.prefix!r}, tick_ms={self.tick_ms}, "
            f"unsafe_ok={self.unsafe_ok})"
        )


class Store(Table, frozen=True):
    url: StoreUrl = "sqlite:///.data/registrations.db"  # unless said, moves with data.dir
    max_per_s: Annotated[int, whole(1, 1_000_000, "rows per second")] = 500
    batch_max: Annotated[int, whole(1, 500, "rows per batch")] = 500
    slots: Annotated[int, whole(1, 16, "batches in flight")] = 2
    deadline_s: Annotated[int, whole(1, 14, "seconds for one batch")] = 10
    credential_file: OptionalPath = ""  # of the service's bearer, or PostgreSQL's password
    post: Literal["batch", "single"] = "batch"  # how https:// is spoken to
    allow_private: bool = False  # true: https:// may lead to a private address
    allow_http: bool = False  # true: registrations may leave this machine in clear

    def conflicts(self) -> Iterable[tuple[str, str]]:
        """Yield (key, reason) for what would send registrations astray."""
        if not self.url.startswith(("http://", "https://")):
            return
        parts = urlsplit(self.url)
        if not parts.hostname or "@" in parts.netloc or parts.fragment:
            yield "url", "must name a host, and hold no credentials: use store.credential_file"
        if parts.scheme == "http" and not (self.allow_http or LOOPBACK.fullmatch(self.url)):
            yield "url", "sends registrations in clear: use https://, or set store.allow_http"
        if self.post == "single" and self.batch_max > SINGLE_ROWS_MAX:
            yield "batch_max", f'must be at most {SINGLE_ROWS_MAX} where store.post is "single"'

    def __repr__(self) -> str:
        return f"Store(url={redacted(self.url)!r}, max_per_s={self.max_per_s}, …)"


class Intake(Table, frozen=True):
    encrypt: bool = False  # true: forms wait for their delivery under their programme's payload key


class Data(Table, frozen=True):
    dir: FilePath = ".data"


class SecretFiles(Table, frozen=True):
    dir: FilePath = ".data/secrets"  # unless said, moves with data.dir


class Serve(Table, frozen=True):
    processes: Annotated[int, whole(1, 64, "front-door processes")] = 2
    unready_s: Annotated[int, whole(0, 60, "seconds from /readyz 503 to taking nobody")] = 0
    drain_s: Annotated[int, whole(1, 300, "seconds to finish what is under way")] = 25
    # auto: off on plain-HTTP loopback only; always: also there, behind a proxy that speaks TLS.
    secure_cookies: Literal["auto", "always"] = "auto"
    problem_base: Annotated[
        str,
        Meta(
            pattern=r"\Ahttps?://[^\s?#]+[^\s?#/]\Z", description="an http(s) URL without a final /"
        ),
    ] = "https://registration-gateway.example/problems"


class ProgrammeFiles(Table, frozen=True):
    files: Annotated[tuple[FilePath, ...], Meta(min_length=1, description="a list of files")] = (
        "config/programmes/demo.toml",
        "config/programmes/prakerja-2020.toml",
    )


class Log(Table, frozen=True):
    level: Literal["debug", "info", "warning", "error"] = "info"


class Settings(Table, frozen=True):
    """All of it, immutable: passed inwards by value, never looked up."""

    public: Public = Public()
    front: Front = Front()
    operator: Operator = Operator()
    redis: Redis = Redis()
    store: Store = Store()
    intake: Intake = Intake()
    data: Data = Data()
    secrets: SecretFiles = SecretFiles()
    serve: Serve = Serve()
    programmes: ProgrammeFiles = ProgrammeFiles()
    log: Log = Log()


def ledger_file(settings: Settings) -> Path:
    """Return where lies what is kept here of a registration service behind HTTP."""
    return Path(settings.data.dir) / "ledger.db"


def redacted(url: str) -> str:
    """Return the URL as it may be shown: without password and query."""
    scheme, separator, rest = url.partition("?")[0].partition("://")
    _, credentials_end, place = rest.rpartition("@")
    return f"{scheme}{separator}{'***@' if credentials_end else ''}{place}"


def load_settings(path: Path | None, environ: Mapping[str, str]) -> Settings:
    """Read the file, then the environment over it.

    Raises:
        ConfigurationError: with every fault of both.

    """
    document = read_toml(path) if path else {}
    file = Reader(str(path))
    settings = file.table(Settings, document) or Settings()
    env = Reader("environment", from_text=True)
    overrides = _overrides(env, environ)
    if file.faults or env.faults:
        raise ConfigurationError(*file.faults, *env.faults)
    for section, values in overrides.items():
        table = msgspec.structs.replace(getattr(settings, section), **values)
        settings = msgspec.structs.replace(settings, **{section: table})
    said = {(section, key) for section, table in document.items() for key in table}
    said |= {(section, key) for section, values in overrides.items() for key in values}
    settings = _move_with_data(settings, said)
    _check_together(settings, str(path) if path else "settings")
    return settings


def _overrides(env: Reader, environ: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """Read ``GATEWAY_<SECTION>_<KEY>``; a misspelt variable is a fault, not a silence."""
    kinds = {
        f"{ENVIRONMENT_PREFIX}{section.name}_{key.name}".upper(): (section.name, key)
        for section in msgspec.structs.fields(Settings)
        for key in msgspec.structs.fields(section.type)
    }
    overrides: dict[str, dict[str, Any]] = {}
    for variable, text in sorted(environ.items()):
        if not variable.startswith(ENVIRONMENT_PREFIX) or variable.startswith(CTL_PREFIX):
            continue
        if variable == CONFIG_VARIABLE:
            continue
        if variable not in kinds:
            env.refuse(variable, unknown(variable, kinds))
            continue
        section, key = kinds[variable]
        overrides.setdefault(section, {})[key.name] = env.value(key.type, text, variable)
    return overrides


def _move_with_data(settings: Settings, said: set[tuple[str, str]]) -> Settings:
    """Keep store and secrets beside the data unless told otherwise: no two systems share them."""
    data = settings.data.dir
    if ("store", "url") not in said:
        store = msgspec.structs.replace(settings.store, url=f"sqlite:///{data}/registrations.db")
        settings = msgspec.structs.replace(settings, store=store)
    if ("secrets", "dir") not in said:
        files = msgspec.structs.replace(settings.secrets, dir=f"{data}/secrets")
        settings = msgspec.structs.replace(settings, secrets=files)
    return settings


def _check_together(settings: Settings, source: str) -> None:
    """Refuse what file and environment have only together made wrong.

    Operators are never served on the applicants' port.
    """
    faults = [
        Fault(source, f"{name}.{key}", reason)
        for name, table in (("front", settings.front), ("store", settings.store))
        for key, reason in table.conflicts()
    ]
    if settings.public.port == settings.operator.port != 0:
        faults.append(Fault(source, "operator.port", "must differ from public.port"))
    if faults:
        raise ConfigurationError(*faults)
