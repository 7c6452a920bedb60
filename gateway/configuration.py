"""Does a document say what its struct asks for? All faults are collected: one look shows them.

Files and the environment are read by the same rules: unknown keys are refused, nothing is coerced
except the text of environment variables, and a reason never repeats a value, which may be a secret.
"""

import difflib
import tomllib
import types
import typing
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import msgspec

from gateway.faults import ConfigurationError, Fault

KINDS: Mapping[Any, str] = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "text",
    dict: "a table",
}


def read_toml(path: Path) -> dict[str, Any]:
    """Read one TOML file.

    Raises:
        ConfigurationError: it cannot be read, or is not TOML.

    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(Fault(str(path), "", f"is not TOML: {error}")) from error
    except UnicodeDecodeError as error:
        raise ConfigurationError(Fault(str(path), "", "is not UTF-8 text")) from error
    except OSError as error:
        reason = f"cannot be read: {error.strerror}"
        raise ConfigurationError(Fault(str(path), "", reason)) from error


class Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One table of a file: a struct whose fields are its keys."""

    def check(self) -> Iterable[tuple[str, str]]:
        """Yield (key, reason) for what only several values together can get wrong."""
        return ()


T = TypeVar("T", bound=Table)


class Reader:
    """Turns the tables of one source into structs, and remembers what is wrong with them."""

    def __init__(self, source: str, *, from_text: bool = False) -> None:
        self.source = source
        self.from_text = from_text  # values are the text of environment variables
        self.faults: list[Fault] = []

    def refuse(self, key: str, reason: str) -> None:
        self.faults.append(Fault(self.source, key, reason))

    def table(self, kind: type[T], document: Any, path: str = "") -> T | None:
        """Fill one struct; None when any part of it was refused."""
        if not isinstance(document, dict):
            self.refuse(path, "must be a table")
            return None
        before = len(self.faults)
        fields = {field.name: field for field in msgspec.structs.fields(kind)}
        for key in document:
            if key not in fields:
                self.refuse(_join(path, str(key)[:80]), unknown(str(key), fields))
        values = {
            name: self.value(fields[name].type, value, _join(path, name))
            for name, value in document.items()
            if name in fields
        }
        for name, field in fields.items():
            if field.required and name not in document:
                self.refuse(_join(path, name), "is missing")
        if len(self.faults) > before:
            return None
        made = kind(**values)
        for key, reason in made.check():
            self.refuse(_join(path, key) if key else path, reason)
        return made if len(self.faults) == before else None

    def value(self, kind: Any, value: Any, path: str) -> Any:
        """Convert one value: a table, a list of tables, or a leaf."""
        kind = _present(kind)
        if isinstance(kind, type) and issubclass(kind, Table):
            return self.table(kind, value, path)
        bare = typing.get_args(kind)[0] if typing.get_origin(kind) is Annotated else kind
        inner = typing.get_args(bare)[:1] if typing.get_origin(bare) is tuple else ()
        if inner and isinstance(inner[0], type) and issubclass(inner[0], Table):
            if not isinstance(value, list):
                self.refuse(path, "must be a list of tables")
                return ()
            return tuple(
                self.table(inner[0], item, f"{path}[{_label(item, place)}]")
                for place, item in enumerate(value, 1)
            )
        if inner and self.from_text:
            value = [part.strip() for part in value.split(",") if part.strip()]
        try:
            return msgspec.convert(value, kind, strict=not self.from_text)
        except msgspec.ValidationError:
            self.refuse(path, f"must be {expected(kind)}")
            return None


def unknown(key: str, known: Iterable[str]) -> str:
    """Say that a key is unknown, and which one may have been meant."""
    near = difflib.get_close_matches(key, list(known), n=1)
    return f"is unknown; did you mean {near[0]}?" if near else "is unknown"


def expected(kind: Any) -> str:
    """Say in words what a type asks for: its own description where it has one."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is Annotated:
        described = [meta.description for meta in kind.__metadata__ if meta.description]
        return described[0] if described else expected(arguments[0])
    if origin is Literal:
        return "one of " + ", ".join(map(str, arguments))
    if origin is tuple:
        return f"a list, each {expected(arguments[0])}"
    return KINDS[origin or kind]


def _present(kind: Any) -> Any:
    """Return what an optional value is when it is there: ``X`` for ``X | None``."""
    union = typing.get_origin(kind) in (typing.Union, types.UnionType)
    parts = typing.get_args(kind) if union else ()
    return next((part for part in parts if part is not types.NoneType), kind)


def _join(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key


def _label(item: Any, place: int) -> str:
    """Name a table in a list by its id or name, or else by its place, counted from 1."""
    named = (item.get("id") or item.get("name")) if isinstance(item, dict) else None
    return (
        named if isinstance(named, str) and named.isprintable() and len(named) < 65 else str(place)
    )
