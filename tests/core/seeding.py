"""Bugs on purpose: a text of a module is replaced by another, and every caller runs the result."""

import inspect
from types import FunctionType, ModuleType
from typing import Any

import pytest


def seed(monkeypatch: pytest.MonkeyPatch, module: ModuleType, sound: str, broken: str) -> None:
    """Have the module's functions and properties run with ``broken`` in place of ``sound``."""
    source = inspect.getsource(module)
    assert sound in source, f"{module.__name__} no longer says {sound!r}"
    patched: dict[str, Any] = {"__name__": module.__name__}
    exec(compile(source.replace(sound, broken), module.__file__ or "", "exec"), patched)
    for name, old in vars(module).items():
        if getattr(old, "__module__", "") == module.__name__:
            _swap(monkeypatch, old, patched[name])


def _swap(monkeypatch: pytest.MonkeyPatch, old: Any, new: Any) -> None:
    # The code alone: whoever has imported the function by name runs it too.
    if isinstance(old, FunctionType):
        monkeypatch.setattr(old, "__code__", new.__code__)
    elif isinstance(old, property):
        _swap(monkeypatch, old.fget, new.fget)
    elif isinstance(old, type):
        for name, member in vars(old).items():
            written = (
                isinstance(member, property) or getattr(member, "__module__", "") == old.__module__
            )
            if written and name in vars(new) and not name.startswith("__"):
                _swap(monkeypatch, member, vars(new)[name])
