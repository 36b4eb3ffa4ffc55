"""Who may import whom, file by file: design by layers, and no circles."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import HERE, PROGRAM

# What each room may import of the program. Rooms that are not here may import nothing of it.
BELOW = {"storage", "gateway.segments", "logs", "addresses", "toml_file"}
MAY_IMPORT = {
    "addresses": set(),
    "formats": set(),
    "logs": set(),
    "toml_file": set(),
    "phone": set(),
    "shared_counts": set(),
    "gateway.segments": set(),
    "migrations.versions": set(),
    "settings": {"addresses"},
    "storage": {"storage"},
    "models": {"models", *BELOW},
    "gateway": {"gateway", "models", "settings", *BELOW},
    "worker": {"worker", "gateway", "models", "settings", *BELOW},
    "resources": {"models", "settings", *BELOW},
    "health": {"models", "reloading", "settings", "shared_counts", "worker", *BELOW},
    "metrics": {"models", "settings", "shared_counts", *BELOW},
    "exports": {"formats", "models", *BELOW},
    "console": {"console", "gateway", "models", "settings", *BELOW},
    "plugins": {"console", "gateway", "models", *BELOW},
    "reloading": {"models", "resources", "settings", *BELOW},
    "migrations": {"models", "storage"},
}
# Nothing imports `smsconvo`, for it is run as a program: it would be there twice.
ANYTHING = {"commands", "exports", "formats", "gateway", "models", "phone", "reloading"}
ANYTHING |= {"resources", "settings", "shared_counts", "worker", *BELOW}
MAY_IMPORT |= {
    "smsconvo": {*ANYTHING, "console", "health", "metrics", "plugins"},
    "commands": ANYTHING,
}

PARSERS = {"phonenumbers", "email_validator", "dateparser", "regex", "num2words"}
LIBRARIES = {
    "addresses": set(),
    "formats": {"msgspec", "xlsxwriter"},
    "logs": {"msgspec"},
    "toml_file": set(),
    "settings": set(),
    "storage": {"sqlalchemy", "alembic", "msgspec", "psycopg", "pysqlite3"},
    "models": {"sqlalchemy", "msgspec", *PARSERS},
    "migrations": {"sqlalchemy", "alembic"},
    "migrations.versions": {"sqlalchemy", "alembic"},
}
# Of the standard library: no HTTP, no environment, no clock, no thread.
NOT_IN_MODELS = {"asyncio", "concurrent", "http", "multiprocessing", "os", "queue", "socket"}
NOT_IN_MODELS |= {"socketserver", "ssl", "subprocess", "threading", "time", "urllib.request"}
CLOCKS = {"environ", "getenv", "now", "utcnow", "today", "monotonic"}

Graph = dict[str, set[str]]  # files below the root, and those that each imports


def files_of(root: Path, parts: list[Path]) -> list[Path]:
    found = [path for part in parts for path in (part.rglob("*.py") if part.is_dir() else [part])]
    return sorted(path.relative_to(root) for path in found if path.suffix == ".py")


def room_of(file: str) -> str:
    """The longest one that it is in: `gateway/segments.py` is a room of its own."""
    module = file.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
    rooms = [room for room in MAY_IMPORT if f"{module}.".startswith(f"{room}.")]
    return max(rooms, key=len, default=module)


def imported(root: Path, file: Path) -> Iterator[tuple[str, str]]:
    """What a file imports, anywhere in it: the module, and the file that it is if it is ours."""
    for node in ast.walk(ast.parse((root / file).read_text("utf-8"))):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, locate(root, alias.name)
        elif isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            for alias in node.names:
                submodule = locate(root, f"{module}.{alias.name}")
                yield module, submodule or locate(root, module)

        elif isinstance(node, ast.Name) and node.id == "import_module":
            # By names that are only known when it runs: any module beside it.
            for path in (root / file).parent.glob("*.py"):
                if path.name != file.name:
                    module = path.relative_to(root).as_posix()
                    yield module, module


def locate(root: Path, module: str) -> str:
    path = module.replace(".", "/")
    names = (f"{path}.py", f"{path}/__init__.py")
    return next((name for name in names if (root / name).is_file()), "")


def graph_of(root: Path, parts: list[Path]) -> Graph:
    return {
        file.as_posix(): {ours for _, ours in imported(root, file) if ours}
        for file in files_of(root, parts)
    }


def wrong_ways(graph: Graph) -> list[str]:
    return [
        f"{file} imports {other}"
        for file, others in graph.items()
        for other in sorted(others)
        if room_of(other) not in MAY_IMPORT.get(room_of(file), set())
    ]


def circles(graph: Graph) -> set[frozenset[str]]:
    """The files that reach each other by what they import, and those that import themselves."""
    reach = {file: reachable(graph, file) for file in graph}
    return {
        frozenset(other for other in reach[file] if file in reach[other])
        for file in graph
        if file in reach[file]
    }


def reachable(graph: Graph, file: str) -> set[str]:
    found: set[str] = set()
    ahead = list(graph[file])
    while ahead:
        if (other := ahead.pop()) not in found:
            found.add(other)
            ahead += graph.get(other, ())
    return found


def strange_libraries(root: Path, parts: list[Path]) -> list[str]:
    return [
        f"{file} imports {module}"
        for file in files_of(root, parts)
        for module, ours in imported(root, file)
        if not ours and is_strange(room_of(file.as_posix()), module)
    ]


def is_strange(room: str, module: str) -> bool:
    package = module.partition(".")[0]
    if package in sys.stdlib_module_names:
        return room == "models" and bool({package, module} & NOT_IN_MODELS)
    return room in LIBRARIES and package not in LIBRARIES[room]


def clocks_of(root: Path, parts: list[Path]) -> list[str]:
    """Where something of that kind is asked; a `now` that is only kept is none."""
    return [
        f"{file} asks {node.attr}"
        for file in files_of(root, parts)
        for node, is_asked in attributes(ast.parse((root / file).read_text("utf-8")))
        if node.attr in CLOCKS and (is_asked or node.attr != "now")
    ]


def attributes(tree: ast.AST) -> Iterator[tuple[ast.Attribute, bool]]:
    """All in a file, and whether each is called or of something that was imported."""
    nodes = list(ast.walk(tree))
    called = {id(node.func) for node in nodes if isinstance(node, ast.Call)}
    named = {
        (alias.asname or alias.name).partition(".")[0]
        for node in nodes
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    }
    for node in nodes:
        if isinstance(node, ast.Attribute):
            root = node.value
            while isinstance(root, ast.Attribute):
                root = root.value
            yield node, id(node) in called or (isinstance(root, ast.Name) and root.id in named)


# The program ###############################################################


@pytest.fixture(scope="module")
def program() -> Graph:
    return graph_of(HERE, PROGRAM)


def test_imports_go_one_way(program):
    assert wrong_ways(program) == []


def test_no_files_import_each_other_in_a_circle(program):
    assert circles(program) == set()


def test_each_room_uses_only_its_own_libraries():
    assert strange_libraries(HERE, PROGRAM) == []


def test_nothing_reads_the_clock_or_the_environment_in_models():
    assert clocks_of(HERE, [HERE / "models"]) == []


# The checks ################################################################


def project(root: Path, files: dict[str, str]) -> list[Path]:
    """A project with these files; what it is made of."""
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, "utf-8")
    return list(root.iterdir())


@pytest.mark.parametrize(
    ("file", "content", "complaint"),
    [
        ("models/one.py", "from settings import Settings", "settings.py"),
        ("models/one.py", "import gateway.twiml", "gateway/twiml.py"),
        ("models/one.py", "from gateway import twiml", "gateway/twiml.py"),
        ("models/one.py", "from gateway import COOKIE", "gateway/__init__.py"),
        ("models/one.py", "def f():\n    from worker.worker import run", "worker/worker.py"),
        ("models/one.py", "if TYPE_CHECKING:\n    import phone", "phone.py"),
        ("models/deep/one.py", "import smsconvo", "smsconvo.py"),
        ("storage/one.py", "from models import Message", "models/__init__.py"),
        ("storage/one.py", "import logs", "logs.py"),
        ("gateway/segments.py", "import gateway.twiml", "gateway/twiml.py"),
        ("gateway/one.py", "import worker.worker", "worker/worker.py"),
        ("worker/one.py", "from commands.serve import serve", "commands/serve.py"),
        ("commands/one.py", "from smsconvo import create_app", "smsconvo.py"),
        ("settings.py", "import logs", "logs.py"),
        ("phone.py", "import addresses", "addresses.py"),
        ("migrations/versions/0009_one.py", "from models import Message", "models/__init__.py"),
        ("new.py", "import logs", "logs.py"),
        ("models/one.py", "import new", "new.py"),
    ],
)
def test_an_import_the_wrong_way_is_noticed(tmp_path, file, content, complaint):
    files = dict.fromkeys(ROOMS, "")
    parts = project(tmp_path, files | {file: content})
    assert wrong_ways(graph_of(tmp_path, parts)) == [f"{file} imports {complaint}"]


ROOMS = ("addresses.py", "logs.py", "new.py", "phone.py", "settings.py", "smsconvo.py")
ROOMS += ("commands/serve.py", "gateway/__init__.py", "gateway/segments.py", "gateway/twiml.py")
ROOMS += ("models/__init__.py", "storage/base.py", "worker/worker.py")


@pytest.mark.parametrize(
    "file, content",
    [
        ("models/one.py", "from gateway.segments import measure\nfrom storage import base"),
        ("models/one.py", "import logs, models.deep, addresses"),
        ("worker/one.py", "from gateway import twiml\nimport settings"),
        ("gateway/one.py", "from models import Message"),
        ("smsconvo.py", "import commands.serve, worker.worker, gateway.twiml, phone"),
    ],
)
def test_an_import_the_right_way_is_none_of_our_business(tmp_path, file, content):
    parts = project(tmp_path, dict.fromkeys(ROOMS, "") | {file: content})
    assert wrong_ways(graph_of(tmp_path, parts)) == []


@pytest.mark.parametrize(
    ("files", "circle"),
    [
        ({"a.py": "import b", "b.py": "import a"}, {"a.py", "b.py"}),
        ({"a.py": "import b", "b.py": "def f():\n    from a import x"}, {"a.py", "b.py"}),
        ({"a.py": "if TYPE_CHECKING:\n    import b", "b.py": "import a"}, {"a.py", "b.py"}),
        (
            {"a.py": "import b", "b.py": "from c import x", "c.py": "from a import y"},
            {"a.py", "b.py", "c.py"},
        ),
        (
            {"m/__init__.py": "from m.a import x", "m/a.py": "from m import b", "m/b.py": ""},
            None,
        ),
        (
            {"m/__init__.py": "from m.a import x", "m/a.py": "from m import y"},
            {"m/__init__.py", "m/a.py"},
        ),
        ({"a.py": "import a"}, {"a.py"}),
        ({"a.py": "import b", "b.py": "import c", "c.py": ""}, None),
    ],
)
def test_circles_are_found(tmp_path, files, circle):
    found = circles(graph_of(tmp_path, project(tmp_path, files)))
    assert found == ({frozenset(circle)} if circle else set())


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("models/one.py", "import requests"),
        ("models/one.py", "from http.client import HTTPConnection"),
        ("models/one.py", "import urllib.request"),
        ("models/one.py", "from threading import Lock"),
        ("models/deep/one.py", "import bottle"),
        ("storage/one.py", "import twilio"),
        ("migrations/versions/0009_one.py", "import msgspec"),
        ("settings.py", "import click"),
    ],
)
def test_a_strange_library_is_noticed(tmp_path, file, content):
    assert len(strange_libraries(tmp_path, project(tmp_path, {file: content}))) == 1


@pytest.mark.parametrize(
    ("content", "asked"),
    [
        ("import os\nos.environ['X']", ["environ"]),
        ("from os import environ as found\nfound", []),  # but `os` is not for models
        ("from datetime import datetime\ndatetime.now()", ["now"]),
        ("import datetime\nfield(default_factory=datetime.datetime.now)", ["now"]),
        ("def f(database):\n    return database.now()", ["now"]),
        ("def f(state):\n    return state.now", []),
        ("date.today()", ["today"]),
    ],
)
def test_what_reads_the_clock_is_noticed(tmp_path, content, asked):
    found = clocks_of(tmp_path, project(tmp_path, {"models/one.py": content}))
    assert found == [f"models/one.py asks {name}" for name in asked]
