"""The rooms and their arrows, the public names, and the house rules that a test can see."""

from __future__ import annotations

import ast
import re
import types
from pathlib import Path

import pytest

import cwagent_iam

PACKAGE = Path(cwagent_iam.__file__).parent
TESTS = Path(__file__).parent
# Each room may import the rooms before it, and no others.
ROOMS = [
    "display",
    "errors",
    "arguments",
    "findings",
    "documents",
    "policies",
    "trust",
    "state",
    "limits",
    "visibility",
    "key_stores",
    "requests",
    "changes",
    "events",
    "planners",
    "differ",
    "remover",
    "observing",
    "reconcile",
    "access_keys",
    "aws",
    "propagation",
    "executor",
    "ec2",
    "stores",
    "rotation",
    "api",
    "testing",
]
FIRST_HAND = ROOMS.index("aws")
# What reaches out of the process, waits, or is not the same at each run.
IMPURE = {
    *("boto3", "botocore", "moto", "s3transfer", "tenacity", "urllib3"),
    *("asyncio", "concurrent", "multiprocessing", "queue", "sched", "signal", "threading"),
    *("random", "secrets", "time", "uuid"),
    *("io", "os", "pathlib", "shutil", "socket", "subprocess", "tempfile", "logging"),
}
PRAGMAS = 5
LONGEST = 40
LONGEST_FILE = 530


def room_of(name: str) -> str:
    """The room that a module belongs to."""
    return name.split("/", 1)[0].removesuffix(".py")


MODULES = {
    path.relative_to(PACKAGE).as_posix(): path
    for path in sorted(PACKAGE.rglob("*.py"))
    if path != PACKAGE / "__init__.py"
}
PURE = {name: path for name, path in MODULES.items() if ROOMS.index(room_of(name)) < FIRST_HAND}
TEST_FILES = {path.name: path for path in sorted(TESTS.glob("test_*.py"))}


def imports_of(path: Path) -> set[str]:
    """Everything that *path* imports, for types only or not, as dotted names."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        match node:
            case ast.Import(names=names):
                found |= {alias.name for alias in names}
            case ast.ImportFrom(module=str(module), names=names):
                found |= {f"{module}.{alias.name}" for alias in names}
            case _:
                pass
    return found


def functions_of(path: Path) -> list[ast.FunctionDef]:
    """Every function and method of a module."""
    nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    return [node for node in nodes if isinstance(node, ast.FunctionDef)]


def test_every_module_is_in_a_room() -> None:
    """The list of rooms is the package, and the package is the list."""
    assert {room_of(name) for name in MODULES} == set(ROOMS)


@pytest.mark.parametrize("name", MODULES)
def test_a_room_imports_only_rooms_before_it(name: str) -> None:
    """Imports point down, types included; nobody imports through the door."""
    allowed = set(ROOMS[: ROOMS.index(room_of(name)) + 1])
    rooms = {
        each.split(".")[1] for each in imports_of(MODULES[name]) if each.startswith("cwagent_iam.")
    }
    assert rooms <= allowed


def test_no_modules_import_each_other_in_a_circle() -> None:
    """Within a room too, types included; what a package gives on counts for all that is in it."""
    modules = {
        name.removesuffix(".py").removesuffix("/__init__"): path for name, path in MODULES.items()
    }
    arrows = {
        name: {
            found
            for each in imports_of(path)
            if (found := module_of(each, set(modules))) not in {"", name}
        }
        for name, path in modules.items()
    }
    while free := {name for name, needed in arrows.items() if not needed & arrows.keys()}:
        arrows = {name: needed for name, needed in arrows.items() if name not in free}
    assert arrows == {}


def module_of(imported: str, modules: set[str]) -> str:
    """Return which of our *modules* a dotted name is in; empty if it is in none."""
    path = imported.removeprefix("cwagent_iam.").replace(".", "/")
    parents = (path, path.rpartition("/")[0])
    return next((each for each in parents if each in modules), "") if path != imported else ""


@pytest.mark.parametrize("name", PURE)
def test_above_the_line_there_is_no_sdk_clock_thread_or_chance(name: str) -> None:
    """Rooms that decide import nothing that reaches out of the process or changes by itself."""
    assert not {each.split(".")[0] for each in imports_of(MODULES[name])} & IMPURE


@pytest.mark.parametrize("name", PURE)
def test_above_the_line_nothing_asks_what_time_it_is(name: str) -> None:
    """Rooms that decide are given the time; of dates they only write and read the text."""
    calls = (
        node.func.attr
        for node in ast.walk(ast.parse(PURE[name].read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
    )
    assert not {"now", "today", "utcnow"}.intersection(calls)


def test_nobody_imports_what_is_for_tests() -> None:
    """What is for tests is imported by users' tests only, and by itself."""
    assert not any(
        each.startswith("cwagent_iam.testing")
        for name, path in MODULES.items()
        if room_of(name) != "testing"
        for each in imports_of(path)
    )


def test_the_public_names_are_sorted_and_exist() -> None:
    """`__all__` is sorted, complete in `dir()`, and every name in it can be had."""
    assert cwagent_iam.__all__ == sorted(cwagent_iam.__all__)
    assert dir(cwagent_iam) == cwagent_iam.__all__
    assert all(hasattr(cwagent_iam, name) for name in cwagent_iam.__all__)


def test_nothing_else_is_public() -> None:
    """A name that is not public is refused as any module would."""
    with pytest.raises(AttributeError, match="module 'cwagent_iam' has no attribute 'nonsense'"):
        cwagent_iam.nonsense  # noqa: B018 - looking is the test
    assert not hasattr(cwagent_iam, "_Reader")


def test_type_checkers_see_the_same_names() -> None:
    """What is imported for type checkers is what `__all__` promises."""
    tree = ast.parse((PACKAGE / "__init__.py").read_text(encoding="utf-8"))
    (block,) = (node for node in tree.body if isinstance(node, ast.If))
    aliases = (alias for node in block.body for alias in getattr(node, "names", ()))
    assert sorted(alias.name for alias in aliases) == cwagent_iam.__all__


@pytest.mark.parametrize("name", cwagent_iam.__all__)
def test_every_public_name_is_documented(name: str) -> None:
    """Functions and classes have a docstring; constants have one in their source."""
    thing = getattr(cwagent_iam, name)
    if isinstance(thing, (type, types.FunctionType)):
        assert thing.__doc__
    elif name not in {"Change", "Event"}:
        rooms = (PACKAGE / "policies" / "aws_managed.py", PACKAGE / "differ" / "owning.py")
        source = "".join(room.read_text(encoding="utf-8") for room in rooms)
        assert re.search(rf'^{name}(: TypeAlias)? = [^\n]*\n"""', source, re.MULTILINE)


@pytest.mark.parametrize("name", TEST_FILES)
def test_every_test_states_a_fact(name: str) -> None:
    """Each test has a docstring."""
    tests = [each for each in functions_of(TEST_FILES[name]) if each.name.startswith("test_")]
    assert tests
    assert [each.name for each in tests if not ast.get_docstring(each)] == []


@pytest.mark.parametrize("name", MODULES)
def test_functions_are_short(name: str) -> None:
    """No body has more than 40 lines, docstring and signature not counted."""
    long = {}
    for function in functions_of(MODULES[name]):
        body = function.body[1:] if ast.get_docstring(function) else function.body
        if body:
            long[function.name] = (function.end_lineno or 0) - body[0].lineno + 1
    assert {each: lines for each, lines in long.items() if lines > LONGEST} == {}


@pytest.mark.parametrize("name", MODULES)
def test_files_are_short(name: str) -> None:
    """No file has more than about 500 lines."""
    lines = MODULES[name].read_text(encoding="utf-8").count("\n")
    assert lines <= LONGEST_FILE


def test_what_coverage_leaves_out_is_counted() -> None:
    """Few lines are exempt from coverage by hand."""
    pragmas = sum(
        path.read_text(encoding="utf-8").count("pragma: no cover") for path in PACKAGE.rglob("*.py")
    )
    assert pragmas <= PRAGMAS


def test_the_package_prints_nothing() -> None:
    """Output is the caller's business."""
    calls = (
        node
        for path in MODULES.values()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    )
    assert "print" not in {call.func.id for call in calls if isinstance(call.func, ast.Name)}
