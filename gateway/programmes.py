"""Which programmes are there? One TOML file each, refused whole or turned into the core's values.

Programme and wave ids are unique over all files: they stand in addresses and in Redis keys.
"""

import base64
from collections.abc import Iterable, Sequence
from pathlib import Path

from gateway.configuration import Reader, read_toml
from gateway.core.form import Choice, Field, Texts
from gateway.core.look import Look
from gateway.core.policy import Policy, validate
from gateway.core.programme import Moment, Programme, Wave
from gateway.faults import ConfigurationError, Fault
from gateway.programme_documents import BothTexts, FieldTable, ProgrammeTable, WaveTable

LOGO_BYTES_MAX = 1024
LOGO_TYPES = {".svg": "image/svg+xml", ".png": "image/png"}
NO_TEXTS: Texts = {"id": "", "en": ""}


def load_programmes(files: Iterable[str | Path]) -> tuple[Programme, ...]:
    """Read all programmes.

    Raises:
        ConfigurationError: with every fault of every file.

    """
    programmes: list[tuple[str, Programme]] = []
    faults: list[Fault] = []
    for file in files:
        try:
            programmes.append((str(file), _load(Path(file))))
        except ConfigurationError as error:
            faults += error.faults
    faults += _shared_ids(programmes)
    if faults:
        raise ConfigurationError(*faults)
    return tuple(programme for _, programme in programmes)


def _load(path: Path) -> Programme:
    reader = Reader(str(path))
    table = reader.table(ProgrammeTable, read_toml(path))
    if table is None:
        raise ConfigurationError(*reader.faults)
    return Programme(
        id=table.id,
        name=_texts(table.name),
        zone=table.zone,
        selection=table.selection,
        person_field=table.person_field,
        help_line=_texts(table.help_line),
        prepare=_texts(table.prepare),
        fields=tuple(_field(field) for field in table.fields),
        waves=tuple(_wave(table.id, wave) for wave in table.waves),
        look=Look(_logo(path, table.look.logo), table.look.colour, table.look.colour_dark),
        texts={name: _texts(both) for name, both in table.texts.items()},
    )


def _logo(programme: Path, name: str) -> str:
    """Return an image as a data: address; as an image, an SVG runs no script and loads nothing."""
    if not name:
        return ""
    kind, file = LOGO_TYPES.get(Path(name).suffix), programme.parent / name
    if kind is None:
        reason = f"must end in {' or '.join(LOGO_TYPES)}"
        raise ConfigurationError(Fault(str(programme), "look.logo", reason))
    try:
        image = file.read_bytes()
    except OSError as error:
        reason = f"{file} cannot be read: {error.strerror}"
        raise ConfigurationError(Fault(str(programme), "look.logo", reason)) from error
    if len(image) > LOGO_BYTES_MAX:
        reason = (
            f"{file} has {len(image)} bytes; every page carries it, so at most {LOGO_BYTES_MAX}"
        )
        raise ConfigurationError(Fault(str(programme), "look.logo", reason))
    return f"data:{kind};base64,{base64.b64encode(image).decode()}"


def _shared_ids(programmes: Sequence[tuple[str, Programme]]) -> list[Fault]:
    owners: dict[str, str] = {}
    faults = []
    for file, programme in programmes:
        keys = [f"programme {programme.id}", *(f"wave {wave.id}" for wave in programme.waves)]
        faults += [Fault(file, key, f"is also in {owners[key]}") for key in keys if key in owners]
        owners |= dict.fromkeys(keys, file)
    return faults


def _texts(both: BothTexts | None) -> Texts:
    return {"id": both.id, "en": both.en} if both else NO_TEXTS


def _field(table: FieldTable) -> Field:
    least, greatest = table.lengths
    return Field(
        name=table.name,
        kind=table.kind,
        required=table.required,
        label=_texts(table.label),
        hint=_texts(table.hint),
        min_length=least,
        max_length=greatest,
        choices=tuple(Choice(choice.value, _texts(choice.label)) for choice in table.choices),
        autocomplete=table.autocomplete,
    )


def _wave(programme_id: str, table: WaveTable) -> Wave:
    moments = {name: value for name, value in table.moments.items() if isinstance(value, Moment)}
    policy = validate(table.policy, Policy())
    assert isinstance(policy, Policy), "the table has been checked"
    return Wave(
        id=table.id, programme_id=programme_id, ordinal=table.ordinal, policy=policy, **moments
    )
