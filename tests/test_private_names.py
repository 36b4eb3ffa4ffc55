"""The program uses no private name of a library, which may change without notice."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from pathlib import Path
from textwrap import dedent
from types import ModuleType

import pytest
from conftest import HERE, PROGRAM
from urllib3.connection import HTTPConnection

# Where storage keeps the few that it cannot do without, with a test of what they do.
EXCEPT = {"storage/driver_errors.py"}
# Documented in spite of their names.
PUBLIC = {"_replace", "_asdict", "_fields", "_make", "_exit"}
PRIVATE = re.compile("_[a-zA-Z][a-zA-Z0-9_]*")


def files_of(root: Path, parts: list[Path]) -> dict[str, Path]:
    found = [path for part in parts for path in (part.rglob("*.py") if part.is_dir() else [part])]
    return {path.relative_to(root).as_posix(): path for path in found if path.suffix == ".py"}


def trees(root: Path, parts: list[Path]) -> dict[str, ast.Module]:
    files = files_of(root, parts)
    return {file: ast.parse(path.read_text("utf-8")) for file, path in files.items()}


def defined(tree: ast.AST) -> Iterator[str]:
    """The names that a file gives to something: what is ours may be private."""
    for node in ast.walk(tree):
        match node:
            case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
                yield name
            case ast.Attribute(attr=name, ctx=ast.Store()) | ast.Name(id=name, ctx=ast.Store()):
                yield name


def private_names(root: Path, parts: list[Path]) -> list[str]:
    """Where the private name of something is used that no file of the program defines."""
    files = trees(root, parts)
    ours = PUBLIC.union(*map(defined, files.values()))
    return [
        f"{file}:{line} uses {name}"
        for file, tree in files.items()
        if file not in EXCEPT
        for line, name in used(tree)
        if PRIVATE.fullmatch(name) and name not in ours
    ]


def used(tree: ast.AST) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        match node:
            case ast.Attribute(attr=name):
                yield node.lineno, name
            case ast.ImportFrom(module=module, names=names):
                parts = [*(module or "").split("."), *(alias.name for alias in names)]
                yield from ((node.lineno, part) for part in parts)
            case ast.Import(names=names):
                yield from ((node.lineno, part) for one in names for part in one.name.split("."))


def borrowed_names(module: ModuleType) -> list[str]:
    """Private names of a library's class that one of ours, which inherits from it, uses."""
    return [
        f"{module.__name__}.{kind.__name__} uses {name} of {base.__name__}"
        for kind in vars(module).values()
        if isinstance(kind, type) and kind.__module__ == module.__name__
        for base in kind.__mro__
        if not is_ours(base)
        for name in sorted(names_in(source_of(kind)) & names_of(base) - PUBLIC)
    ]


def is_ours(kind: type) -> bool:
    path = getattr(import_module(kind.__module__), "__file__", None) or "/"
    return Path(path).is_relative_to(HERE) and "site-packages" not in path


@cache  # hundreds of our classes have the same parents
def names_of(kind: type) -> set[str]:
    """The private names that a class has, those that only its objects have included."""
    return names_in(source_of(kind)) | {name for name in vars(kind) if PRIVATE.fullmatch(name)}


def names_in(source: str) -> set[str]:
    """The private names that a class defines, or uses of itself."""
    found = re.findall(r"\b(?:self|cls|super\(\))\.(\w+)", source)
    found += re.findall(r"^    (?:def )?(\w+)(?:\(|:| =)", source, re.MULTILINE)
    return {name for name in found if PRIVATE.fullmatch(name)}


def source_of(kind: type) -> str:
    """Nothing where it is not written in Python, or by a program that was generated."""
    return sources_of(kind.__module__).get(kind.__qualname__, "")


@cache  # `inspect` reads all of a file again for each class in it
def sources_of(module: str) -> dict[str, str]:
    """The source of each class in a module, those in other classes included."""
    path = Path(getattr(import_module(module), "__file__", None) or "/")
    if path.suffix != ".py":
        return {}
    source = path.read_text("utf-8")
    lines = source.splitlines(keepends=True)
    return {
        name: dedent("".join(lines[kind.lineno - 1 : kind.end_lineno]))
        for name, kind in classes_in(ast.parse(source), "")
    }


def classes_in(tree: ast.AST, around: str) -> Iterator[tuple[str, ast.ClassDef]]:
    for node in ast.iter_child_nodes(tree):
        match node:
            case ast.ClassDef(name=name):
                yield f"{around}{name}", node
                yield from classes_in(node, f"{around}{name}.")
            case ast.FunctionDef(name=name):
                yield from classes_in(node, f"{around}{name}.<locals>.")
            case _:
                yield from classes_in(node, around)


MODULES = [
    file.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
    for file in files_of(HERE, PROGRAM)
    if not file.startswith("migrations/") and file not in EXCEPT
]


def test_no_private_name_of_a_library_is_used():
    assert private_names(HERE, PROGRAM) == []


def test_no_private_name_of_a_parent_is_used():
    assert [each for name in MODULES for each in borrowed_names(import_module(name))] == []


# The checks


@pytest.mark.parametrize(
    ("content", "name"),
    [
        ("connection._handle_error()", "_handle_error"),
        ("from library import _helper", "_helper"),
        ("from library._inner import helper", "_inner"),
        ("import library._inner as inner", "_inner"),
        ("super()._close()", "_close"),
        ("def f(self):\n    return self._held", "_held"),
    ],
)
def test_a_private_name_that_is_not_ours_is_noticed(tmp_path, content, name):
    (tmp_path / "one.py").write_text(content, "utf-8")
    (complaint,) = private_names(tmp_path, [tmp_path])
    assert complaint.startswith("one.py:") and complaint.endswith(f" uses {name}")


def test_private_names_of_our_own_and_documented_ones_are_none(tmp_path):
    content = "class A:\n    def __init__(self):\n        self._held = _first()\n\n"
    content += "def _first():\n    return pair._replace(a=1), pair.__class__\n"
    (tmp_path / "one.py").write_text(content, "utf-8")
    (tmp_path / "two.py").write_text("print(a._held)", "utf-8")
    assert private_names(tmp_path, [tmp_path]) == []


class Overriding(HTTPConnection):
    def _new_conn(self):
        return None


class Using(HTTPConnection):
    def name(self):
        return self._dns_host


class Unrelated(HTTPConnection):
    def close(self):
        self._closed = True


@pytest.mark.parametrize(
    ("kind", "name"), [(Overriding, "_new_conn"), (Using, "_dns_host"), (Unrelated, None)]
)
def test_a_private_name_of_a_parent_is_noticed(kind, name):
    module = ModuleType(kind.__module__)
    setattr(module, kind.__name__, kind)
    found = borrowed_names(module)
    expected = f"{kind.__module__}.{kind.__name__} uses {name} of HTTPConnection"
    assert found == ([expected] if name else [])
