"""What drafts are made from and compared with, as SQL for both databases.

Texts are given as a JSON object: of each number of a text its sid, our number, the sender, and the
sender's addresses on all channels. For a comparison, what it was decided from follows.
"""

from functools import reduce
from typing import Any

from sqlalchemy import (
    Boolean,
    ColumnElement,
    Text,
    and_,
    bindparam,
    cast,
    func,
    literal_column,
    or_,
    select,
)
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

from models.answer import Answer
from models.contact import CHANNELS, Contact
from models.conversation import Conversation
from models.message import Message
from models.turn import find_newest_id
from models.version import Version
from storage.base import Statement


class version_of(FunctionElement):
    """What is another text after each change of a row, given all its columns."""

    inherit_cache = True
    type = Text()


@compiles(version_of, "sqlite")
def _cells_on_sqlite(element: version_of, compiler: Any, **options: Any) -> str:
    """All cells, so that a change by hand counts, too."""
    columns = [compiler.process(column, **options) for column in element.clauses]
    return "||','||".join(f"quote({column})" for column in columns)


@compiles(version_of, "postgresql")
def _transaction_on_postgresql(element: version_of, compiler: Any, **options: Any) -> str:
    """Its id, and the transaction that wrote it.

    See https://www.postgresql.org/docs/current/ddl-system-columns.html.
    """
    id = compiler.process(next(iter(element.clauses)), **options)
    table = id.rpartition(".")[0]
    return f"coalesce({id} || ':' || CAST({table}.xmin AS text), '')"


class versions_of(FunctionElement):
    """The same of all rows together."""

    inherit_cache = True
    type = Text()


@compiles(versions_of, "sqlite")
def _join_on_sqlite(element: versions_of, compiler: Any, **options: Any) -> str:
    return f"group_concat({_cells_on_sqlite(element, compiler, **options)})"


@compiles(versions_of, "postgresql")
def _join_on_postgresql(element: versions_of, compiler: Any, **options: Any) -> str:
    return f"string_agg({_transaction_on_postgresql(element, compiler, **options)}, ',')"


def _part(n: int) -> ColumnElement[str]:
    return TEXT.c.value.op("->>", return_type=Text())(literal_column(str(n)))


def _or_nothing(value: ColumnElement[Any]) -> ColumnElement[str]:
    return func.coalesce(cast(value, Text), literal_column("''"))


def _join(*parts: ColumnElement[str]) -> ColumnElement[str]:
    return reduce(lambda before, part: before.concat(literal_column("';'")).concat(part), parts)


ANSWER, CONTACT, CONVERSATION, MESSAGE, VERSION = (
    table.__table__ for table in (Answer, Contact, Conversation, Message, Version)
)
TEXT = func.json_each(bindparam("texts")).table_valued("key", "value", name="text")
NUMBER_OF_TEXT = literal_column("text.key", Text)  # not a column of a row that can be named
SID, NUMBER, SENDER, *ADDRESSES, BASIS_THEN = map(_part, range(3 + 1 + len(CHANNELS) + 1))
RELATIVE = CONTACT.alias()
LATEST_ID = select(func.max(MESSAGE.c.id)).where(MESSAGE.c.conversation_id == CONVERSATION.c.id)
ALL_ANSWERS = select(versions_of(*ANSWER.c)).where(ANSWER.c.conversation_id == CONVERSATION.c.id)
# Not EXISTS, for which PostgreSQL may read all messages first.
IS_RECORDED = select(MESSAGE.c.id).where(MESSAGE.c.sid == SID).scalar_subquery().is_not(None)
RELATED = [column == each for column in (RELATIVE.c.phone, RELATIVE.c.alias) for each in ADDRESSES]
IS_SENDER_ELSEWHERE = select(RELATIVE.c.id).where(or_(*RELATED)).exists()
# What no draft is made of: what is recorded, and a new sender who may be known elsewhere.
NEEDS_MORE = or_(IS_RECORDED, and_(CONTACT.c.id.is_(None), IS_SENDER_ELSEWHERE))
BASIS = _join(
    _or_nothing(NEEDS_MORE),
    _or_nothing(LATEST_ID.scalar_subquery()),
    _or_nothing(ALL_ANSWERS.scalar_subquery()),
    version_of(*CONTACT.c),
    version_of(*CONVERSATION.c),
)
WITH_NEWEST = CONVERSATION.c.id == find_newest_id(SENDER, NUMBER)
JOINED = TEXT.outerjoin(CONTACT, CONTACT.c.phone == SENDER).outerjoin(CONVERSATION, WITH_NEWEST)

LOADED = Statement(
    select(
        NUMBER_OF_TEXT, BASIS, cast(NEEDS_MORE, Boolean), CONTACT, CONVERSATION, VERSION
    ).select_from(JOINED.outerjoin(VERSION, VERSION.c.id == CONVERSATION.c.questionnaire_id))
)
ANSWERS = Statement(
    select(ANSWER).select_from(
        TEXT.join(CONVERSATION, WITH_NEWEST).join(
            ANSWER, ANSWER.c.conversation_id == CONVERSATION.c.id
        )
    )
)
CURRENT = Statement(select(NUMBER_OF_TEXT).select_from(JOINED).where(BASIS == BASIS_THEN))
LOCKED = Statement(
    select(NUMBER_OF_TEXT)
    .select_from(TEXT.join(CONTACT, CONTACT.c.phone == SENDER))
    .with_for_update(of=CONTACT, skip_locked=True)
)
