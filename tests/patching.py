"""How tests replace parts of the program: what is not where they say it is makes them fail.

A name that has moved would otherwise leave the program as it is, and its test without meaning.
What was computed from a name when its module was imported stays as it was.
"""

import ast
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator, MutableMapping
from functools import cache, lru_cache
from importlib import import_module
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).resolve().parents[1]
APART = {"tests", "bench", ".venv"}  # folders of the project that are not the program

Undo = Callable[[], None]


def patch(owner: ModuleType | str | type, name: str, value: object) -> Undo:
    """Replace `owner.name`, in a module also wherever the program has imported it from there.

    AttributeError if the name is not defined right there: in the module or class itself, and not
    imported from elsewhere in the program or inherited.
    """
    if isinstance(owner, type):
        return _patch_class(owner, name, value)
    module = import_module(owner) if isinstance(owner, str) else owner
    if name not in vars(module):
        raise AttributeError(f"{module.__name__} has no {name}.")
    if name in _imports(module) and (home := _home(module, name)):
        raise AttributeError(f"{module.__name__} imports {name} from {home}. Patch it there.")
    before = vars(module)[name]
    for holder, alias in [(module, name), *_importers(module, name)]:
        setattr(holder, alias, value)

    def undo() -> None:
        # Modules that were imported in the meantime have the value as well.
        for holder, alias in [(module, name), *_importers(module, name)]:
            if vars(holder).get(alias) is value:
                setattr(holder, alias, before)

    return undo


def patch_item(mapping: MutableMapping, key: object, value: object) -> Undo:
    """Replace what a dictionary has under a key; KeyError if that is not in it."""
    if key not in mapping:
        raise KeyError(f"{key!r} is not one of {', '.join(map(repr, mapping))}.")
    before = mapping[key]
    mapping[key] = value
    return lambda: mapping.update({key: before})


class Patches:
    """`patch` and `patch_item`, and the way back from all of them."""

    def __init__(self) -> None:
        self._undos: list[Undo] = []

    def __call__(self, owner: ModuleType | str | type, name: str, value: object) -> Undo:
        self._undos.append(patch(owner, name, value))
        return self._undos[-1]

    def item(self, mapping: MutableMapping, key: object, value: object) -> Undo:
        self._undos.append(patch_item(mapping, key, value))
        return self._undos[-1]

    def undo(self) -> None:
        while self._undos:
            self._undos.pop()()


def _patch_class(owner: type, name: str, value: object) -> Undo:
    if name not in vars(owner):
        homes = [base.__name__ for base in owner.__mro__ if name in vars(base)]
        cure = f" It inherits that from {homes[0]}: patch it there." if homes else ""
        raise AttributeError(f"{owner.__name__} has no {name} of its own.{cure}")
    before = vars(owner)[name]  # as it stands there, classmethod and all
    setattr(owner, name, value)
    return lambda: setattr(owner, name, before)


def _importers(owner: ModuleType, name: str) -> Iterator[tuple[ModuleType, str]]:
    """The modules of the program that have it from this one, directly or by way of others."""
    # Most tests patch something, and few import something in the meantime.
    importers = _all_imports(ROOT, tuple(map(id, sys.modules.values())))

    def find(home: str, name: str) -> Iterator[tuple[ModuleType, str]]:
        for module, alias in importers.get((home, name), ()):
            if alias in vars(module):
                yield module, alias
                yield from find(module.__name__, alias)

    yield from find(owner.__name__, name)


@lru_cache(maxsize=2)
def _all_imports(_: Path, __: tuple[int, ...]) -> dict[tuple[str, str], list[tuple]]:
    """Which modules have imported a name: (module, name) -> modules, and what each calls it.

    As long as these modules are loaded.
    """
    found = defaultdict(list)
    for module in _loaded():
        for alias, origin in _imports_of(module.__file__).items():
            found[origin].append((module, alias))
    return found


def _home(module: ModuleType, name: str) -> str | None:
    """The module of the program that a name is imported from; None for a library's."""
    home, _ = _imports(module)[name]
    return home if home in {one.__name__ for one in _loaded()} else None


def _loaded() -> list[ModuleType]:
    """The program's modules; of two thousand, those that its names begin with are looked at."""
    ours = _names_of_program(ROOT)
    modules = list(sys.modules.items())
    return [
        module for name, module in modules if name.partition(".")[0] in ours and _is_ours(module)
    ]


def _names_of_program(root: Path) -> set[str]:
    """What the names of its modules begin with; `__main__` is what was started, if it is ours."""
    return {path.stem for path in root.iterdir() if path.name not in APART} | {"__main__"}


def _is_ours(module: ModuleType) -> bool:
    return _is_program_file(getattr(module, "__file__", None) or "/", ROOT)


@cache
def _is_program_file(file: str, root: Path) -> bool:
    path = Path(file)
    return path.is_relative_to(root) and path.relative_to(root).parts[0] not in APART


def _imports(module: ModuleType) -> dict[str, tuple[str, str]]:
    """Where a module has the names from that it imports: alias -> (module, name)."""
    return _imports_of(module.__file__) if _is_ours(module) else {}


@cache
def _imports_of(file: str) -> dict[str, tuple[str, str]]:
    return {
        alias.asname or alias.name: (node.module, alias.name)
        for node in _at_the_top(ast.parse(Path(file).read_text("utf-8")))
        if isinstance(node, ast.ImportFrom) and node.module
        for alias in node.names
    }


def _at_the_top(node: ast.AST) -> Iterator[ast.AST]:
    """The statements that run when a module is imported, those of `if` and `try` included."""
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield child
            yield from _at_the_top(child)
