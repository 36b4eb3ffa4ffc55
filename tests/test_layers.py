import ast
import sys

from settings import HERE

PARSERS = {"phonenumbers", "email_validator", "dateparser", "regex"}
ALLOWED = {
    "smsconvo.py": {"models", "phone"},
    "phone.py": set(),
    "models": {"models", "sqlalchemy", "msgspec"} | PARSERS | {"pysqlite3", "psycopg"},
    "migrations": {"models", "sqlalchemy", "alembic"},
    "migrations/versions": {"sqlalchemy", "alembic"},
}
OURS = {"smsconvo", "phone", "models", "migrations", "tests", "bench"}


def imports(path):
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module.partition(".")[0]


def test_models_import_only_what_they_may():
    for place in ("models", "migrations", "migrations/versions"):
        for path in (HERE / place).glob("*.py"):
            strange = set(imports(path)) - ALLOWED[place] - sys.stdlib_module_names
            assert not strange, f"{path.name} imports {strange}"


def test_imports_among_our_own_go_one_way():
    for name in ("smsconvo.py", "phone.py"):
        ours = set(imports(HERE / name)) & OURS
        assert ours <= ALLOWED[name], f"{name} imports {ours}"


def test_nothing_reads_the_clock_or_the_environment_in_models():
    for path in (HERE / "models").glob("*.py"):
        names = {
            node.attr
            for node in ast.walk(ast.parse(path.read_text("utf-8")))
            if isinstance(node, ast.Attribute)
        }
        assert not names & {"environ", "getenv", "now", "utcnow", "today", "monotonic"}, path.name
