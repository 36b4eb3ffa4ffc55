"""What is exported of conversations and their answers, page by page: there may be millions.

A page is read in a transaction of its own, because SQLite's -wal file grows while one is open.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import date, datetime, time
from decimal import Decimal, DecimalException
from itertools import groupby
from operator import attrgetter
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.orm import Session

from models.answer import Answer
from models.contact import Contact
from models.conversation import Conversation
from models.marked_test import MarkedTest
from models.payload import unread_texts
from models.questionnaire.answers import KINDS
from models.questionnaire.schema import Question, Questionnaire
from models.selection import Selection
from models.version import Version
from storage import Database
from storage.base import LITERAL_1, Statement
from storage.unreadable import UnreadableRow, unreadable_rows

PAGE_SIZE = 500  # conversations

Typed = str | Decimal | date | time


class ExportedAnswer(NamedTuple):
    """An answer, and the question that it answers, unless its version cannot be read."""

    row: Answer
    of: Question | None

    @property
    def value(self) -> str | None:
        """As it is stored; several choices have a comma between them."""
        return self.row.value

    @property
    def result(self) -> str | list[str] | None:
        """As receivers get it: several choices are a list."""
        if self.value is None or self.of is None:
            return self.value
        return KINDS[self.of.kind].result_value(self.of, self.value)

    @property
    def typed(self) -> Typed | None:
        """As what can be computed with: a number, a day or a time of day; else as it is stored."""
        if self.value is None or self.of is None:
            return self.value
        kind = KINDS[self.of.kind]
        try:
            if kind.is_number:
                return Decimal(self.value)
            return kind.moment(self.value) if kind.split_as else self.value
        except (ValueError, DecimalException):  # somebody has edited it
            return self.value


class ExportedConversation(NamedTuple):
    """A conversation with its answers by key, in the order in which they were given."""

    id: int
    sender: str
    name: str | None
    event: str
    state: str
    started_at: datetime
    completed_at: datetime | None
    questionnaire: str
    version: int  # the id of the definition that it has
    answers: Mapping[str, ExportedAnswer]
    unread_texts: Mapping[str, str]  # what was texted to questions that were given up
    is_test: bool | None  # None where tests are left out


class ConversationReader:
    """Reads the conversations of a selection.

    `shown`: the keys that are wanted, by the name of a questionnaire; all, where it has none.
    `left_out` says how many answers have other keys.
    """

    def __init__(self, selection: Selection, shown: Mapping[str, Collection[str]]) -> None:
        self.left_out: Counter[str] = Counter()
        self._shown = shown
        self._find, self._with_tests = _select(selection), selection.with_tests
        self._definitions: dict[int, Questionnaire | None] = {}

    def read(self, db: Session, after: int, last: int) -> Iterator[ExportedConversation]:
        """Those whose ids are above the first number, and not above the second."""
        leave_out = unreadable_rows(db).add
        rows = self._find.fetch_readable(db, leave_out, after=after, last=last)
        if not rows:
            return
        found = Answer.all(db, ANSWERS, first=rows[0][0], last=rows[-1][0])
        answers = defaultdict(
            list, {id: list(each) for id, each in groupby(found, attrgetter("conversation_id"))}
        )
        for row in rows:
            id, sender, event, state, started_at, ended_at, version, _, name, _, contact, mark = row
            if name is None:
                reason = "names no questionnaire"
                leave_out(UnreadableRow("conversations", id, "questionnaire_id", reason))
                continue
            yield ExportedConversation(
                *(id, sender, contact, event, state, started_at),
                ended_at if state == "completed" else None,
                *(name, version),
                *self._exported_answers(self._definition(db, version), name, answers[id]),
                mark is not None if self._with_tests else None,
            )

    def _definition(self, db: Session, id: int) -> Questionnaire | None:
        """A questionnaire as a conversation has it; None if that cannot be read."""
        if id not in self._definitions:
            versions = Version.all(db, VERSION, this=id)
            self._definitions[id] = versions[0].definition if versions else None
        return self._definitions[id]

    def _exported_answers(
        self, definition: Questionnaire | None, name: str, rows: Sequence[Answer]
    ) -> tuple[dict[str, ExportedAnswer], dict[str, str]]:
        """Those of a conversation that are shown, and the texts that could not be read."""
        if (shown := self._shown.get(name)) is not None:
            self.left_out.update(row.key for row in rows if row.key not in shown)
            rows = [row for row in rows if row.key in shown]
        questions = definition.by_key if definition else {}
        answers = {row.key: ExportedAnswer(row, questions.get(row.key)) for row in rows}
        if definition:
            return answers, unread_texts(definition, rows)
        return answers, {row.key: row.text for row in rows if row.value is None and row.text}


class Export:
    """The conversations of a selection, by id, with the answers that a ConversationReader shows.

    Once all are read, `left_out` says how many answers have other keys, `count` how many
    conversations there are, and `missing` which of the ids that were named are not among them.
    """

    def __init__(
        self, database: Database, selection: Selection, shown: Mapping[str, Collection[str]]
    ) -> None:
        self.count, self.missing = 0, set(selection.ids)
        self._database, self._selection = database, selection
        self._reader = ConversationReader(selection, shown)
        self.left_out = self._reader.left_out

    def __iter__(self) -> Iterator[ExportedConversation]:
        for after, last in self._ranges():
            with self._database.report() as db:
                page = list(self._reader.read(db, after, last))
            for conversation in page:
                self.count += 1
                self.missing.discard(conversation.id)
                yield conversation

    def _ranges(self) -> Iterator[tuple[int, int]]:
        """Ranges of ids that hold few conversations: behind the first number, up to the second.

        They do not depend on what is selected. So each statement reads few rows, also where few of
        them fit: PostgreSQL would end a long one.
        """
        if self._selection.ids:
            yield from ((id - 1, id) for id in sorted(set(self._selection.ids)))
            return
        ids = [0]
        while ids:
            after = ids[-1]
            with self._database.report() as db:
                ids = [id for (id,) in IDS.fetch_all(db, after=after)]
            if ids:
                yield after, ids[-1]


def find_names(db: Session) -> list[str]:
    """The names of the questionnaires that conversations have used."""
    rows = NAMES.fetch_readable(db, unreadable_rows(db).add)
    return sorted({name for _, name in rows})


def find_version_ids(db: Session, name: str) -> list[int]:
    """The ids of the versions of a questionnaire, the newest first, unreadable ones included."""
    rows = NAMES.fetch_readable(db, unreadable_rows(db).add)
    return sorted((id for id, each in rows if each == name), reverse=True)


def find_versions(db: Session, name: str) -> list[Version]:
    """The versions of a questionnaire that can be read, the newest first."""
    return Version.all(db, VERSIONS, name=name)


def find_keys(
    db: Session, name: str, now: Questionnaire | None, with_removed: bool = True
) -> list[str]:
    """The keys of a questionnaire as it is `now`, then of questions that it no longer has.

    Without a file its newest version counts as that.
    """
    versions = [version.definition for version in find_versions(db, name)]
    definitions = [now, *versions] if now else versions
    wanted = definitions if with_removed else definitions[:1]
    return list(dict.fromkeys(key for each in wanted for key in each.by_key))


# How they are laid out ######################################################

HEAD = ("conversation", "sender", "name", "event", "state", "started_at", "completed_at")
TAIL = ("questionnaire", "version")
TESTS = (*TAIL, "test")  # where tests are among them
YES = "yes"  # in the last of these columns
ANSWER = "answer."  # before a key that is the name of another column


def wide_columns(keys: Sequence[str], with_tests: bool = False) -> list[str]:
    """The names of the columns, where a row is a conversation."""
    tail = TESTS if with_tests else TAIL
    others = {*HEAD, "unread", *tail}
    named = (f"{ANSWER}{key}" if key in others else key for key in keys)
    return [*HEAD, *named, "unread", *tail]


def long_columns(with_tests: bool) -> list[str]:
    """The names of the columns, where a row is an answer."""
    tail = TESTS if with_tests else TAIL
    return [*HEAD, "key", "question", "value", "text", "answered_at", *tail]


def wide_row(
    conversation: ExportedConversation, keys: Sequence[str], form: str = "value"
) -> list[object]:
    """The cells of a conversation; `form`: which attribute of an ExportedAnswer is wanted."""
    answers = (conversation.answers.get(key) for key in keys)
    cells = (answer and getattr(answer, form) for answer in answers)
    texts = "\n".join(f"{key}: {text}" for key, text in conversation.unread_texts.items())
    return [*_head(conversation), *cells, texts or None, *_tail(conversation, form)]


def wide_object(conversation: ExportedConversation) -> dict[str, object]:
    """A conversation for machines; its answers are as in JSON results."""
    answers = {key: answer.result for key, answer in conversation.answers.items()}
    head = dict(zip(HEAD, _head(conversation), strict=True))
    tail = dict(zip(TESTS, _tail(conversation, "result"), strict=False))
    return head | {"answers": answers, "unread": conversation.unread_texts} | tail


def long_rows(conversation: ExportedConversation, form: str = "value") -> Iterator[list[object]]:
    """The cells of each of its answers, under `long_columns`."""
    for key, answer in conversation.answers.items():
        row, value = answer.row, getattr(answer, form)
        given = (key, row.question, value, row.text, row.answered_at)
        yield [*_head(conversation), *given, *_tail(conversation, form)]


def long_objects(conversation: ExportedConversation) -> Iterator[dict[str, object]]:
    """Its answers for machines."""
    columns = long_columns(conversation.is_test is not None)
    return (dict(zip(columns, row, strict=True)) for row in long_rows(conversation, "result"))


def _head(conversation: ExportedConversation) -> tuple[object, ...]:
    return conversation[: len(HEAD)]


def _tail(conversation: ExportedConversation, form: str) -> list[object]:
    """The cells under TAIL, or TESTS where tests are among them."""
    tail, is_test = [conversation.questionnaire, conversation.version], conversation.is_test
    if is_test is None:
        return tail
    return [*tail, is_test if form == "result" else YES * is_test]


# Built once: building a statement costs as much as running it.
TABLE, VERSIONED, CONTACT = (each.__table__ for each in (Conversation, Version, Contact))
ANSWERED, MARKED = Answer.__table__, MarkedTest.__table__
IDS = Statement(
    sa.select(TABLE.c.id)
    .where(TABLE.c.id > sa.bindparam("after"))
    .order_by(TABLE.c.id)
    .limit(sa.literal_column(str(PAGE_SIZE)))
)
ANSWERS = Statement(
    sa.select(ANSWERED)
    .where(ANSWERED.c.conversation_id.between(sa.bindparam("first"), sa.bindparam("last")))
    .order_by(ANSWERED.c.conversation_id, ANSWERED.c.message_id)
)
NAMES = Statement(sa.select(VERSIONED.c.id, VERSIONED.c.name))
VERSION = Statement(
    sa.select(VERSIONED).where(VERSIONED.c.id == sa.bindparam("this")).limit(LITERAL_1)
)
VERSIONS = Statement(
    sa.select(VERSIONED)
    .where(VERSIONED.c.name == sa.bindparam("name"))
    .order_by(VERSIONED.c.created_at.desc(), VERSIONED.c.id.desc())
)
FOUND = sa.select(
    TABLE.c.id,
    TABLE.c.sender,
    TABLE.c.event,
    TABLE.c.state,
    TABLE.c.started_at,
    TABLE.c.ended_at,
    TABLE.c.questionnaire_id,
    VERSIONED.c.id,
    VERSIONED.c.name,
    CONTACT.c.id,
    CONTACT.c.name,
    MARKED.c.id,
).select_from(TABLE.outerjoin(VERSIONED).outerjoin(CONTACT).outerjoin(MARKED))


def _select(selection: Selection) -> Statement:
    """The conversations of a range of ids that meet this.

    An index of the questionnaire would be used for all its conversations instead, so expressions
    hide that there is one.
    """
    conditions = [TABLE.c.id > sa.bindparam("after"), TABLE.c.id <= sa.bindparam("last")]
    if selection.questionnaire is not None:
        conditions.append(sa.func.coalesce(VERSIONED.c.name, "") == selection.questionnaire)
    if selection.version is not None:
        conditions.append(TABLE.c.questionnaire_id + 0 == selection.version)
    conditions += [*selection.scope(), *selection.details()]
    return Statement(FOUND.where(*conditions).order_by(TABLE.c.id))
