"""A URL of a database that will not do: one sentence, a status, and nothing of a password."""

import io
import logging
import os
import shutil
import traceback
from pathlib import Path
from typing import NamedTuple

import pytest
from click.testing import CliRunner
from conftest import ACCOUNT_SID, AUTH_TOKEN, HERE, alembic, examples, run
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from commands import cli
from storage import maintenance_transaction
from storage.database import parse_url

# Each is long enough not to be in a sentence by chance, and a password consists of some.
WORDS = ["Geheimnis", "hunter22", "Zauberwort", "4711471147"]
SEPARATORS = [
    *"@:/?#[]&=%+ ;,!$'()*\"\\é🙂\t\n\r\x7f\udcff",
    "%40",
    "%2F",
    "%00",
    "%zz",
    "@@",
    "://",
]
FORMS = [
    "postgresql://me:{password}@127.0.0.1:1/db",
    "postgresql://me:{password}@127.0.0.1:1",
    "postgresql://me:{password}@/db?host=/nonexistent",
    "postgresql://:{password}@127.0.0.1:1/db",
    "postgresql+psycopg2://me:{password}@127.0.0.1:1/db",
    "postgresql://me:{password}@127.0.0.1:port/db",
    "postgresql://me:{password}@127.0.0.1:99999/db",
    "postgresql://me:{password}@127.0.0.1:0/db",
    "postgresql://me:{password}@[::1/db",
    "postgresql://me:{password}@127.0.0.1:1/db?connect_timeout=soon",
    "postgresql://me:{password}@127.0.0.1:1/db?sslmode=perhaps",
    "postgresql://me:{password}@127.0.0.1:1/db?unknown=1",
    "postgresql://me:{password}@/db?host=127.0.0.1:1&host=127.0.0.1",
    "postgresql://me:{password}@/db?host=/nonexistent&port=1,2,3",
    "postgresql:///db?host=/nonexistent&user=me&password={password}",
    "postgresql:///db?host=/nonexistent&password={password}&sslmode=perhaps",
    "postgresql:///db?host=/nonexistent&passwd={password}",
    "postgresql:///db?host=/nonexistent&options={password}",
    "postgresql://me:{password}",
    "postgresql://me:{password}/db",
    "postgresql://me:{password}:1/db",
    "postgresql:me:{password}@127.0.0.1:1/db",
    "postgresql:/me:{password}@127.0.0.1:1/db",
    "postgres://me:{password}@127.0.0.1:1/db",
    "mysql://me:{password}@127.0.0.1:1/db",
    "sqlite://me:{password}@127.0.0.1/x.db",
    "sqlite+pysqlcipher://:{password}@/x.db?cipher=aes-256-cfb",
    "//me:{password}@127.0.0.1:1/db",
    " postgresql://me:{password}@127.0.0.1:1/db",
    "postgresql://me:{password}@127.0.0.1:1/db\n",
    "me:{password}@127.0.0.1:1/db",
    "{password}",
]


fuzzed = settings(
    max_examples=examples(30, 120),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@st.composite
def passwords(draw) -> str:
    parts = draw(st.lists(st.sampled_from(WORDS), min_size=1, max_size=3))
    password = parts[0]
    for part in parts[1:]:
        password += draw(st.sampled_from(SEPARATORS)) + part
    return (
        draw(st.sampled_from(["", *SEPARATORS])) + password + draw(st.sampled_from(["", "@", "="]))
    )


class Ended(NamedTuple):
    status: int
    output: str  # all that was printed, logged or raised


def invoke(environ: dict[str, str], *arguments: str) -> Ended:
    """The command in this process; what it logs and prints, and the traceback if it has one."""
    log = io.StringIO()
    handler = logging.StreamHandler(log)
    root = logging.getLogger()
    root.addHandler(handler)
    try:
        result = CliRunner().invoke(cli, arguments, env=environ)
    finally:
        root.removeHandler(handler)
    error = result.exception
    if error and not isinstance(error, SystemExit):
        log.writelines(traceback.format_exception(error))
    return Ended(result.exit_code, result.output + log.getvalue())


@pytest.fixture
def questionnaires_only(tmp_path, monkeypatch) -> dict[str, str]:
    shutil.copytree(HERE / "questionnaires", tmp_path / "questionnaires")
    monkeypatch.chdir(tmp_path)
    return {
        "TWILIO_ACCOUNT_SID": ACCOUNT_SID,
        "TWILIO_AUTH_TOKEN": AUTH_TOKEN,
        "SMSCONVO_PUBLIC_URL": "http://127.0.0.1:1",
    }


def assert_nothing_leaks(output: str) -> None:
    for word in WORDS:
        assert word.lower() not in output.lower()


@pytest.mark.parametrize("command", ["serve", "upgrade", "outbox"])
@fuzzed
@given(form=st.sampled_from(FORMS), password=passwords())
def test_a_bad_url_ends_with_a_sentence_that_says_nothing_of_the_password(
    questionnaires_only, command, form, password
):
    url = form.format(password=password)
    ended = invoke(questionnaires_only | {"DATABASE_URL": url}, command)
    assert_nothing_leaks(ended.output)
    assert ended.status in (os.EX_CONFIG, os.EX_UNAVAILABLE)
    assert len(ended.output.splitlines()) == 1


@fuzzed
@given(form=st.sampled_from(FORMS), password=passwords())
def test_a_bad_url_to_copy_to_ends_so_too(copying_from, form, password):
    ended = invoke(copying_from, "copy", "--", form.format(password=password))
    assert_nothing_leaks(ended.output)
    assert ended.status in (os.EX_CONFIG, os.EX_UNAVAILABLE)
    assert len(ended.output.splitlines()) == 1


@pytest.fixture
def copying_from(questionnaires_only, migrated, tmp_path) -> dict[str, str]:
    shutil.copy(migrated, tmp_path / "smsconvo.db")
    return questionnaires_only


@fuzzed
@given(form=st.sampled_from(FORMS), password=passwords())
def test_no_traceback_has_the_password(form, password):
    """As `alembic` prints one."""
    try:
        with maintenance_transaction(form.format(password=password)):
            pass
    except Exception as error:
        assert_nothing_leaks("".join(traceback.format_exception(error)))


@pytest.mark.parametrize("form", [FORMS[0], FORMS[2], FORMS[14], FORMS[5], "{password}"])
def test_alembic_says_nothing_of_the_password(form):
    url = form.format(password="Geheimnis@hunter22")
    ended = alembic(HERE, "current", DATABASE_URL=url)
    assert ended.returncode
    assert_nothing_leaks(ended.stdout + ended.stderr)


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("sqlite://var/lib/x.db", "names a host, where SQLite has none"),
        ("sqlite://localhost/x.db", "names a host, where SQLite has none"),
        ("sqlite://me:secret@host/x.db", "names a host, where SQLite has none"),
        ("sqlite://:8080/x.db", "names a host, where SQLite has none"),
        ("sqlite:///x%00y.db", "holds a control character"),
        ("sqlite:///x.db\r", "holds a control character"),
        ("sqlite:///x%0Ay.db", "holds a control character"),
        ("postgresql://me@host/db%00", "holds a control character"),
        (
            "postgresql://me:p@ss@host/db",
            "has an @ in a name or a password",
        ),
        ("postgresql://me:pass@host/db?options=@", "has an @ in a name or a password"),
        ("postgresql://host:0/db", "has a port that is not between 1 and 65535"),
        ("postgresql://host:65536/db", "has a port that is not between 1 and 65535"),
        ("postgresql://host:-1/db", "has a port that is not between 1 and 65535"),
        ("postgresql:///db?host=/nonexistent&port=1,2", "has hosts and ports that do not go"),
        ("postgresql:///db?host=/nonexistent&port=http", "has hosts and ports that do not go"),
        ("postgresql:///db\udcff", "holds bytes that are not UTF-8"),
        ("postgresql:///db?options=a&options=b", "has an option behind the question mark"),
        ("postgresql:///db?unknown=1", "has an option behind the question mark"),
        ("postgresql:///db?autocommit=1", "has an option behind the question mark"),
        ("postgresql:///db?row_factory=x", "has an option behind the question mark"),
    ],
)
def test_a_url_that_can_never_work_is_a_mistake_in_the_settings(questionnaires_only, url, why):
    ended = invoke(questionnaires_only | {"DATABASE_URL": url}, "serve")
    assert ended.status == os.EX_CONFIG
    assert ended.output.startswith(f"DATABASE_URL {why}")
    assert ended.output.endswith(". Set it to one, like sqlite:///smsconvo.db.\n")
    assert len(ended.output.splitlines()) == 1
    assert list(Path().glob("*.db*")) == list(Path().glob("var")) == []


@pytest.mark.parametrize(
    "option",
    ["sslmode=perhaps", "connect_timeout=soon", "target_session_attrs=x", "require_auth=x"],
)
def test_a_value_that_can_never_work_is_a_mistake_too(questionnaires_only, option):
    url = f"postgresql:///db?host=/nonexistent&{option}"
    ended = invoke(questionnaires_only | {"DATABASE_URL": url}, "serve")
    assert ended.status == os.EX_CONFIG
    assert "an option in the URL has a value that it cannot have" in ended.output


@pytest.mark.parametrize(
    "url",
    [
        "postgresql:///db?host=/nonexistent",
        "postgresql://127.0.0.1:1/db?sslmode=require&gssencmode=prefer",
        "postgresql:///db?host=/nonexistent,/missing&port=1,2&target_session_attrs=any",
        "postgresql:///db?host=127.0.0.1:1&host=127.0.0.1:2&load_balance_hosts=random",
        "postgresql://me:a%40b%2Fc%3A@127.0.0.1:1/db",
    ],
)
def test_a_server_that_is_not_there_may_be_there_soon(questionnaires_only, url):
    ended = invoke(questionnaires_only | {"DATABASE_URL": url}, "serve")
    assert ended.status == os.EX_UNAVAILABLE
    assert len(ended.output.splitlines()) == 1


def test_who_has_no_password_in_the_url_is_told_which_server_it_was(questionnaires_only):
    for url, named in [
        ("postgresql://me@127.0.0.1:1/db", 'connection to server at "127.0.0.1", port 1 failed'),
        ("postgresql://me:pw@127.0.0.1:1/db", 'connection to server at "…", port … failed'),
    ]:
        assert named in invoke(questionnaires_only | {"DATABASE_URL": url}, "serve").output


def test_a_password_that_is_written_right_is_read_right():
    location = parse_url("postgresql://m%40e:a%40b%2Fc%3A%3F@host/db")
    assert (location.username, location.password, location.host) == ("m@e", "a@b/c:?", "host")


def test_serve_ends_at_once_where_a_host_is_named(folder, environ):
    environ["DATABASE_URL"] = "sqlite://var/lib/x.db"
    ended = run(folder, environ, "serve")
    assert ended.returncode == os.EX_CONFIG
    assert len(ended.stderr.splitlines()) == 1
