"""The shape of the house: who may import whom, how large a module or a function may be.

``RINGS`` is the table of ARCHITECTURE.md as data. A module outside it fails: it must be given a place.
"""

import ast
import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
MODULE_LINES_MAX = 250
FUNCTION_LINES_MAX = 60

ALL = ["core", "ports", "services", "redis", "stores", "web", "observation", "configuration"]
TOOLS = (
    r"gateway\.(__main__|cli|ctl\w*|supervise|system|fleet|children|restarts|data"
    r"|completion|doctor|operators_command|addresses|banner|notify|valkey|verify|export\w*|preview\w*"
    r"|simulate|simulation(\..+)?)"
)
RINGS: dict[str, tuple[str, list[str]]] = {  # ring -> (modules as a pattern, rings it may import)
    "core": (r"gateway(\.core(\..+)?)?", []),
    "ports": (r"gateway\.(ports|answers)", ["core"]),
    "services": (r"gateway\.services(\..+)?", ["core", "ports"]),
    "redis": (r"gateway\.redis(\..+)?", ["core", "ports"]),
    "stores": (r"gateway\.stores(\..+)?", ["core", "ports"]),
    "web": (r"gateway\.web(\..+)?", ["core", "ports", "services"]),
    "observation": (
        r"gateway\.(measures|metrics|room_families|process_family|logs)",
        ["core", "ports", "services"],
    ),
    "configuration": (
        r"gateway\.(settings|setting_kinds|configuration|programmes|programme_documents|operators|secrets|faults)",
        ["core"],
    ),
    "composition": (
        r"gateway\.(compose|compose_deliver|lifecycle|pressure|watches|store_settings|wording)",
        ALL,
    ),
    "command line": (
        TOOLS,
        [*ALL, "composition"],
    ),
}
PURE_STDLIB_REFUSED = {
    "asyncio",
    "time",
    "random",
    "secrets",
    "socket",
    "os",
    "subprocess",
    "threading",
}

MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for path in sorted((ROOT / "gateway").rglob("*.py"))
}


def ring_of(module: str) -> str:
    """Return the ring a module belongs to."""
    for ring, (pattern, _) in RINGS.items():
        if re.fullmatch(pattern, module):
            return ring
    raise AssertionError(f"{module} has no place in the table of rings")


def imports_of(path: Path) -> set[str]:
    """Return every module a file imports, wherever in the file."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            found |= {
                f"{node.module}.{alias.name}"
                if f"{node.module}.{alias.name}" in MODULES
                else str(node.module)
                for alias in node.names
            }
    return found


@pytest.mark.parametrize("module", MODULES)
def test_imports_point_inwards(module: str) -> None:
    ring = ring_of(module)
    allowed = {ring, *RINGS[ring][1]}
    if ring != "core":
        allowed.add("core")
    for imported in imports_of(MODULES[module]):
        if imported.split(".")[0] == "gateway":
            assert ring_of(imported) in allowed, f"{module} ({ring}) imports {imported}"


@pytest.mark.parametrize("module", [m for m in MODULES if ring_of(m) == "core"])
def test_the_core_is_pure(module: str) -> None:
    """No IO, no clock, no randomness, no asyncio: nothing but the quiet part of the standard library."""
    for imported in imports_of(MODULES[module]):
        top = imported.split(".")[0]
        assert top == "gateway" or top in sys.stdlib_module_names, f"{module} imports {imported}"
        assert top not in PURE_STDLIB_REFUSED, f"{module} imports {imported}"


@pytest.mark.parametrize("module", MODULES)
def test_modules_are_small_and_say_what_they_are(module: str) -> None:
    text = MODULES[module].read_text("utf-8")
    assert text.count("\n") <= MODULE_LINES_MAX
    assert ast.get_docstring(ast.parse(text)), f"{module} has no docstring"


@pytest.mark.parametrize(
    "path", sorted({*MODULES.values(), *(ROOT / "loadtests").rglob("*.py")}), ids=lambda p: p.stem
)
def test_functions_are_short(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            assert lines <= FUNCTION_LINES_MAX, (
                f"{path.name}:{node.lineno} {node.name} has {lines} lines"
            )


def test_every_script_has_its_header() -> None:
    for script in sorted((ROOT / "gateway/redis/scripts").glob("*.lua")):
        first = script.read_text("utf-8").split("\n", 1)[0]
        assert first.startswith(f"-- {script.stem}: "), script.name


def test_there_are_four_top_level_folders() -> None:
    folders = {p.name for p in ROOT.iterdir() if p.is_dir() and not p.name.startswith((".", "__"))}
    assert folders - {"build", "dist"} == {"gateway", "loadtests", "config", "tests"}
