"""Nothing that `serve` runs reads a whole table that grows: it is recorded, and the plans are read.

The plans are those for a long history. SQLite makes them with and without what ANALYZE finds there;
PostgreSQL analyses its tables by itself, and makes one plan whatever the parameters are.
"""

import re
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
import requests
from browsing import Browser, one_database
from conftest import REY, STRANGER, Receiver, Webhook
from patching import Patches
from sqlalchemy import Column, Connection, Engine, Integer, Table, event, text
from sqlalchemy.orm import Session

from models import Attempt, outbox
from models.console import COMMAND_LINE
from models.export import Export
from models.plan import count_newest_open, find_plans
from models.reports import answers, funnel
from models.reports.answers import find_answers
from models.reports.context import PageContext, Query
from models.reports.now import find_now
from models.reports.outbox import STATES
from models.reports.threads import find_threads
from models.selection import Selection
from storage.base import Base, Compiled
from storage.postgresql import SHARED_SETTINGS
from worker.expiry import expire_silent
from worker.indexing import IndexTexts
from worker.results import claim_due, run_attempt

GROWING = {
    "message_search",
    "contacts",
    "conversations",
    "messages",
    "answers",
    "outbox",
    "delivery_attempts",
}
# These stay small whatever is texted; the first has a row for each version of a file.
STAYING = {"questionnaires", "alembic_version", "test_conversations", "contact_notes"}
PARTY = """
title = "Party"
event = "Party"
review = true
resume = "24h"
thanks = "Thanks."
[[questions]]
key = "who"
ask = "Who are you?"
[[questions]]
key = "day"
kind = "date"
optional = true
ask = "Which day do you come?"
[results]
url = "{url}"
partial = true
"""
COPIES = 500  # of all rows, to make a history of
AT_ONCE = 50  # of them, for on PostgreSQL a statement has five seconds, however busy the machine is
PARTIAL = {
    index.name
    for table in Base.metadata.tables.values()
    for index in table.indexes
    if index.dialect_options["sqlite"]["where"] is not None
}

Recorded = dict[str, Any]  # statements, with the parameters that they were first run with


@pytest.fixture
def recorded(patch) -> Iterator[Recorded]:
    """What is run from now on, on whatever connection."""
    statements: Recorded = {}

    def record(statement: str, parameters: Any) -> None:
        if statement.partition(" ")[0] in ("SELECT", "INSERT", "UPDATE", "DELETE"):
            statements.setdefault(statement, parameters)

    def hear(_conn, _cursor, statement: str, parameters: Any, _context, is_many: bool) -> None:
        record(statement, parameters[0] if is_many else parameters)

    def execute(compiled: Compiled, connection: Connection, values: dict[str, Any]) -> Any:
        record(compiled.sql, compiled.convert(values))
        return original(compiled, connection, values)

    def send(compiled: Compiled, connection: Connection, values: dict[str, Any]) -> Any:
        record(compiled.sql, compiled.convert(values))
        return original_send(compiled, connection, values)

    original, original_send = Compiled.execute, Compiled.send
    patch(Compiled, "execute", execute)
    patch(Compiled, "send", send)
    event.listen(Engine, "before_cursor_execute", hear)
    yield statements
    event.remove(Engine, "before_cursor_execute", hear)


@pytest.fixture
def party(questionnaires, serve, receiver) -> Webhook:
    (questionnaires / "party.toml").write_text(PARTY.format(url=receiver.url), "utf-8")
    return serve()


def live(party: Webhook, receiver: Receiver) -> None:
    """All that guests, Twilio, receivers and the worker do."""
    rey, stranger = party.phone(REY), party.phone(STRANGER)
    for body in ("Party", "BACK", "Rey", "someday", "SKIP", "FIX 1", "King Rey", "OK", "and now?"):
        text_twice(rey, body)
    for body in ("STOP", "what?", "HELP", "START", "Party", "STOP", "START", "hello", "Count"):
        text_twice(rey, body)
    for body in ("Party", "STOP", "START"):
        party.phone(f"whatsapp:{REY}").text(body, ExternalUserId="whatsapp:US.1234")
        party.phone("whatsapp:US.1234").text(body)
    prompt = stranger.text("Party")[0]
    for body in (f"Liked “{prompt}”", prompt, "", "Ann", "RESTART", "BACK", "Ann"):
        text_twice(stranger, body)
    for cookie in ("0" * 32, "?", stranger.cookies["conversation"]):
        rey.cookies["conversation"] = cookie
        rey.text("Blue")
    run_worker(party)
    party.clock.pass_(hours=5)
    run_worker(party)  # partial results are owed by now
    stranger.text("Sunday")  # goes on
    party.clock.pass_(hours=5)
    stranger.text("Party")  # before the worker looked
    receiver.answers = [(500, {}), (410, {})]
    run_worker(party)
    assert requests.get(f"{party.app.settings.public_url}/healthz", timeout=10).status_code == 200


def text_twice(phone, body: str) -> None:
    """As Twilio does when it gets no answer; and report that the reply was delivered."""
    phone.text(body)
    phone.text(body, sid=phone.last.sid)
    for reply in phone.last.replies:
        phone.report(reply, "delivered")


def run_worker(party: Webhook) -> None:
    database, clock = party.app.database, party.clock
    expire_silent(database, clock())
    IndexTexts(database).run(clock())
    claimed = claim_due(database, clock(), 16)
    claim_due(database, clock(), 16, claimed)
    for delivery in claimed:
        run_attempt(database, party.app.settings, delivery, clock)


def grow(connection: Connection) -> None:
    """Add many conversations of other senders, that have ended, with all that belongs to them."""
    for first in range(1, COPIES, AT_ONCE):
        for table in Base.metadata.sorted_tables:
            if table.name in GROWING:
                connection.exec_driver_sql(copies(table, first))


def copies(table: Table, first: int) -> str:
    """The SQL that makes the next copies of what was there: the ids of copies are above 1000."""
    names = ", ".join(column.name for column in table.columns)
    values = ", ".join(map(copied, table.columns))
    return (
        f"INSERT INTO {table.name} ({names}) WITH RECURSIVE numbers(n) AS (SELECT {first} UNION ALL"
        f" SELECT n + 1 FROM numbers WHERE n < {first + AT_ONCE - 1})"
        f" SELECT {values} FROM {table.name} CROSS JOIN numbers WHERE id < 1000"
    )


def copied(column: Column) -> str:
    """What a copy has in this column, in SQL."""
    refers = any(key.column.table.name in GROWING for key in column.foreign_keys)
    if column.name == "state":
        ended = "WHEN 'open' THEN 'completed' WHEN 'pending' THEN 'delivered'"
        return f"CASE state {ended} WHEN 'failed' THEN 'delivered' ELSE state END"
    if not (column.primary_key or column.unique or refers):
        return column.name
    is_number = isinstance(column.type, Integer)
    return f"{column.name} + 1000 * n" if is_number else f"{column.name} || '-' || n"


def find_scans(connection: Connection, statement: str, parameters: Any) -> list[str]:
    """The steps that read all of a table that grows, or of an index of all its rows."""
    if connection.dialect.name == "sqlite":
        plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
        return [step for *_, step in plan if scans_on_sqlite(step)]
    plan = find_plan(connection, statement, parameters)
    firsts = dict(connection.exec_driver_sql(FIRSTS).all())
    return [str(node) for node in nodes(plan["Plan"]) if scans_on_postgresql(node, firsts)]


def find_plan(connection: Connection, statement: str, parameters: Any) -> dict:
    names = {name: f"${number}" for number, name in enumerate(parameters or (), 1)}
    with (
        connection.begin_nested() as savepoint,
        psycopg.ClientCursor(connection.connection.driver_connection) as cursor,
    ):
        if "json_each" in statement:  # as the connections have it that serve several texts
            for name, value in SHARED_SETTINGS.items():
                cursor.execute(f"SET LOCAL {name} = '{value}'", prepare=False)
        cursor.execute(f"EXPLAIN (FORMAT JSON, GENERIC_PLAN) {statement % names}", prepare=False)
        (((plan,),),) = cursor.fetchall()
        savepoint.rollback()
    return plan


def scans_on_sqlite(step: str) -> bool:
    if re.match("SCAN (text|conversation) VIRTUAL TABLE", step):
        return False  # json_each: of the texts that came
    if "VIRTUAL TABLE" in step:
        return not re.search(r" INDEX \d+:\S*M", step)  # FTS5 is asked for words
    found = re.match(r"SCAN (\w+?)(?:_\d+)?\b(?: USING (?:COVERING )?INDEX (\w+))?", step)
    return bool(found) and found[1] in GROWING and found[2] not in PARTIAL


def nodes(plan: dict) -> Iterator[dict]:
    yield plan
    for child in plan.get("Plans", ()):
        yield from nodes(child)


# The first column of each index: a condition on the others alone reads all of it.
FIRSTS = """
SELECT relname, attname FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid
JOIN pg_attribute ON attrelid = indrelid AND attnum = indkey[0]
"""


def scans_on_postgresql(node: dict, firsts: dict[str, str]) -> bool:
    if "Index Name" not in node:
        return node["Node Type"] == "Seq Scan" and node["Relation Name"] in GROWING
    index = node["Index Name"]
    finds = re.search(rf"\b{firsts[index]}\b", node.get("Index Cond", ""))
    return not finds and index not in PARTIAL and node.get("Relation Name", "") not in STAYING


def test_nothing_that_is_run_reads_a_whole_table(party, receiver, recorded, patch):
    """Neither what the server does by itself, nor what operators do on the console or elsewhere."""
    live(party, receiver)
    assert len(recorded) > 30
    statements = dict(recorded) | dict.fromkeys(OPERATORS)
    for act in (use_commands, open_pages, open_answers, use_outbox):
        recorded.clear()
        act(party, patch)
        assert len(recorded) > 8
        statements |= recorded
    assert not party.app.database.write(lambda db: read_plans(db.connection(), statements))


OPERATORS = (
    "SELECT * FROM conversations WHERE sender = '+1999' ORDER BY id DESC LIMIT 50",
    "SELECT * FROM conversations WHERE number = '+1999' ORDER BY id DESC LIMIT 50",
    "SELECT * FROM messages WHERE conversation_id = 999 ORDER BY id",
    "SELECT * FROM messages WHERE created_at >= '2030-01-01' AND created_at < '2030-01-02'",
    "SELECT * FROM contacts WHERE phone >= '+1999' AND phone < '+199:'",
)


def use_commands(party: Webhook, _: Patches) -> None:
    with party.app.database.read() as db:
        for state in ("pending", "failed", "unconfirmed"):
            outbox.find_ids(db, state, 0)
            outbox.find(db, state, 0, 500)
        outbox.find_paused_urls(db)
        outbox.find_pausing_ids(db, [1, 2])
        outbox.find_pausing_urls(db, [1, 2])
        outbox.find_undelivered_ids(db, [1, 2])
        outbox.count_undelivered(db)
        outbox.find_result(db, 1)
        Attempt.find_all(db, 1)
        assert list(find_plans(db, party.app.files.current.catalog))
        count_newest_open(db)
    for change in (outbox.redeliver, outbox.redeliver_certain, outbox.confirm):
        party.app.database.write(lambda db, change=change: change(db, [1, 2], party.clock()))


PAGES = (
    "threads?waits=us",
    "threads?state=open&questionnaire=party&number=%2B14155550100",
    "threads?undelivered=yes&before=999",
    "threads?q=5308",
    "threads/1",
    "threads/1?before=999",
    "people",
    "people?show=opted-out",
    "people?q=Rey",
    "people/1",
    "search?q=Rey",
    "search?q=%22Rey+who%22&before=999",
    f"search?q=SM{32 * 'a'}",
)


def open_pages(party: Webhook, _: Patches) -> None:
    browser = sign_in(party)
    for path in PAGES:
        assert browser.get(f"/console/{path}").status == 200


def sign_in(party: Webhook) -> Browser:
    browser = Browser(party.app)
    browser.enter()
    return browser


def use_outbox(party: Webhook, _: Patches) -> None:
    browser = sign_in(party)
    filters = ["", "?receiver=1", "?cause=http&state=failed", "?receiver=1&cause=none"]
    filters += [f"?state={state}&receiver=1&before=99" for state in STATES]
    for path in (*filters, "/1", *(f"/1/{name}" for name in ("retry", "confirm", "discard"))):
        assert browser.get(f"/console/outbox{path}").status in (200, 409), path
    update = "UPDATE outbox SET state = 'failed', next_attempt_at = NULL WHERE id < 9"
    party.app.database.write(lambda db: db.execute(text(update)))
    for name in ("discard", "retry-all", "confirm"):
        assert browser.post(f"/console/outbox/1/{name}", reason="x").status in (303, 409), name
    browser.post("/console/people/1/opt-out")
    browser.post("/console/people/1/opt-in")


ANSWERS = (
    "questionnaire=party",
    "questionnaire=party&version=1&state=stopped&from=2026-11-01&to=2026-12-01&before=1",
    "questionnaire=party&answer.who=Rey&answer.day=2026-01-01..2026-12-31&ids=1",
    "questionnaire=party&has=who&missing=day&passed=who",
)


def open_answers(party: Webhook, patch: Patches) -> None:
    patch(answers, "NEWEST", 1)
    for query in ANSWERS:
        list(Export(party.app.database, find_selection(party, query), {}))


def find_selection(party: Webhook, query: str) -> Selection:
    context = party.app.context(None, Query.parse(query))
    with party.app.database.report() as db:
        return find_answers(db, context).filter.selection


@one_database
def test_files_of_answers_do_not_read_the_index_of_a_questionnaire_page_by_page(
    party, receiver, recorded, patch
):
    """It would be read to its end for each."""
    live(party, receiver)
    selections = [find_selection(party, query) for query in ANSWERS]
    recorded.clear()
    for selection in selections:
        list(Export(party.app.database, selection, {}))
    party.app.database.write(lambda db: read_plans(db.connection(), {}))
    assert [sql for sql in recorded if uses_questionnaires(party.app, sql)] == []


FIGURES = (
    "lost=yes",
    "questionnaire=party&outcome=asleep",
    "questionnaire=party&outcome=started&asking=who&how=reached",
    "questionnaire=party&outcome=started&asking=(review)&how=reached",
    "questionnaire=party&outcome=open&asking=who&how=skipped&before=99",
)


# PostgreSQL plans what pages read for its values, and by settings of their own.
@one_database
def test_the_page_now_reads_no_whole_table(party, receiver, recorded, patch):
    live(party, receiver)
    patch(funnel, "MAX_COUNTED", 1)  # so that all are counted besides
    recorded.clear()
    with party.app.database.report() as db:
        for period in ("today", "week", "all"):
            look_at_now(db, party, period)
        for figure in FIGURES:
            find_threads(db, page_context(party, figure))
    statements = dict(recorded)
    assert any("LIMIT (SELECT" in sql for sql in statements)
    assert len(statements) > 12
    assert not party.app.database.write(lambda db: read_plans(db.connection(), statements))


def look_at_now(db: Session, party: Webhook, period: str) -> None:
    find_now(db, page_context(party, f"questionnaire=party&period={period}"), checks=dict)


def page_context(party: Webhook, query: str) -> PageContext:
    files = party.app.files.current
    return PageContext(Query.parse(query), *files, party.clock(), COMMAND_LINE)


def uses_questionnaires(app, statement: str) -> bool:
    with app.database.read() as db:
        count = statement.count("?")
        plan = db.connection().exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", (1,) * count)
        return "ix_conversations_questionnaire_id" in str(plan.all())


def read_plans(connection: Connection, statements: Recorded) -> dict[str, list[str]]:
    """The statements that read a whole table, each with the steps that do."""
    scans: dict[str, list[str]] = {}
    grow(connection)
    if connection.dialect.name == "sqlite":
        scans |= find_all_scans(connection, statements)
    # PostgreSQL's own tables, which are many more, are left out.
    for table in sorted(GROWING | STAYING | Base.metadata.tables.keys()):
        connection.exec_driver_sql(f"ANALYZE {table}")
    return scans | find_all_scans(connection, statements)


def find_all_scans(connection: Connection, statements: Recorded) -> dict[str, list[str]]:
    scans = {sql: find_scans(connection, sql, values) for sql, values in statements.items()}
    return {sql: steps for sql, steps in scans.items() if steps}


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_in_a_new_database_texts_are_found_by_their_senders(party, recorded):
    """PostgreSQL has not analysed any table yet, and all conversations may be of one number."""
    for body in ("Party", "Rey", "SKIP", "STOP"):
        text_twice(party.phone(REY), body)
    finding = {sql: recorded[sql] for sql in recorded if re.search(r"_1\.sender = ", sql)}
    assert len(finding) == 4

    def read(db: Session) -> list[str]:
        connection = db.connection()
        return [str(find_plan(connection, *statement)) for statement in finding.items()]

    for plan in party.app.database.write(read):
        assert "ix_conversations_sender_number" in plan
        assert "ix_conversations_number_id" not in plan
        assert "Hash" not in plan


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_no_plan_reads_a_table_that_is_small_either_for_the_plan_may_outlast_that(party, receiver):
    phone = party.phone(REY)
    phone.text("Party")
    party.app.database.write(lambda db: db.connection().exec_driver_sql("ANALYZE"))
    before = count_table_scans(party)
    for body in ("Rey", "SKIP", "OK", "and now?"):
        text_twice(phone, body)
    run_worker(party)
    assert count_table_scans(party) == before


def count_table_scans(party: Webhook) -> int:
    with party.app.database.read() as db:
        db.connection().exec_driver_sql("SELECT pg_stat_force_next_flush()")
        db.commit()
        names = ", ".join(f"'{name}'" for name in sorted(GROWING))
        scans = f"SELECT sum(seq_scan) FROM pg_stat_user_tables WHERE relname IN ({names})"
        return db.connection().exec_driver_sql(scans).scalar_one()
