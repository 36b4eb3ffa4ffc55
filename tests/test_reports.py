"""What pages of the console read with: sessions of their own, and fields of addresses."""

from contextlib import ExitStack
from datetime import date

import pytest
from browsing import CORPUS
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from models import Contact
from models.reports.context import MAX_FIELDS, MAX_ID, Query
from storage.database import MAX_REPORTS


def add_contact(db, phone="+14158675308"):
    Contact(phone=phone).insert(db)


def count(db) -> int:
    return db.scalar(text("SELECT count(*) FROM contacts"))


def test_a_report_can_write_nothing(database):
    with pytest.raises(DBAPIError), database.report() as db:
        db.execute(text("INSERT INTO contacts (phone) VALUES ('+1')"))
        db.commit()
    with database.read() as db:
        assert count(db) == 0


def test_all_that_a_report_reads_is_of_one_moment(database):
    with database.report() as db:
        before = count(db)
        database.write(add_contact)
        assert count(db) == before == 0
    with database.report() as db:
        assert count(db) == 1


def test_few_reports_are_read_at_once_and_others_wait_only_so_long(database, patch):
    patch("storage.database", "REPORT_WAIT_SECONDS", 0.01)
    with ExitStack() as opened:
        for _ in range(MAX_REPORTS):
            opened.enter_context(database.report())
        with pytest.raises(TimeoutError), database.report():
            pass
        database.write(add_contact)  # texts do not wait for them
    with database.report() as db:
        assert count(db) == 1


def test_a_report_that_fails_makes_room_for_the_next(database, patch):
    patch("storage.database", "REPORT_WAIT_SECONDS", 0.01)
    for _ in range(MAX_REPORTS + 1):
        with pytest.raises(DBAPIError), database.report() as db:
            db.execute(text("SELECT * FROM nowhere"))


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_reports_are_planned_without_the_settings_of_turns(database):
    names = ("enable_seqscan", "plan_cache_mode")
    with database.report() as report, database.read() as turn:
        of_report, of_turn = (
            [db.scalar(text(f"SHOW {name}")) for name in names] for db in (report, turn)
        )
    assert of_report == ["on", "auto"]
    assert of_turn == ["off", "force_generic_plan"]


def test_a_query_gives_the_last_value_of_a_field_without_spaces():
    query = Query.parse("state=open&state=+completed+&x=")
    assert query.value("state") == "completed"
    assert query.values("state") == ["open", "completed"]
    assert query.value("x") == query.value("nothing") == ""


@pytest.mark.parametrize(
    "value", ["", "0x1", "-1", "1.0", "1e3", "²", "٣", "+1", str(MAX_ID + 1), "9" * 400]
)
def test_what_is_no_id_counts_as_absent(value):
    assert Query([("before", value)]).id("before") is None


def test_ids_are_those_that_the_databases_can_hold():
    assert [Query([("before", value)]).id("before") for value in ("0", "7", str(MAX_ID))] == [
        0,
        7,
        MAX_ID,
    ]


@pytest.mark.parametrize("value", ["", "today", "2026-13-01", "20-11-2026", "2026-11-20T12:00"])
def test_what_is_no_day_counts_as_absent(value):
    assert Query([("from", value)]).day("from") is None


def test_a_day_and_a_choice_are_read():
    query = Query.parse("from=2026-11-20&state=open&order=drop+table")
    assert query.day("from") == date(2026, 11, 20)
    assert query.choice("state", ("open", "completed")) == "open"
    assert query.choice("order", ("newest", "oldest")) == ""


def test_fields_behind_a_prefix_are_found_by_the_rest_of_their_names():
    query = Query.parse("answer.Question1=Blue&answer.=x&answer.Question1=Red&state=open")
    assert query.behind("answer.") == [("Question1", "Blue"), ("", "x"), ("Question1", "Red")]


@pytest.mark.parametrize("words", CORPUS)
def test_an_address_with_another_value_keeps_the_others(words):
    query = Query([("q", words), ("state", "open"), ("before", "7")])
    again = Query.parse(query.address(state="completed", before=None).removeprefix("?"))
    assert again.value("state") == "completed"
    assert again.id("before") is None
    kept = "".join(character for character in words if character >= " " and character != "\x7f")
    assert again.value("q") == kept.encode("utf-8", "replace").decode().strip()


def test_a_query_without_fields_is_still_an_address():
    assert Query().address() == "?"


@pytest.mark.parametrize(
    "text", ["&".join(["a=b"] * (MAX_FIELDS + 1)), "%", "a=%ff%00%0d", "=" * 50, "&&;;", "a"]
)
def test_odd_queries_are_read_as_far_as_they_can_be(text):
    value = Query.parse(text).value("a")
    assert value in ("", "\ufffd")
