"""What the questionnaire files change, and which conversations continue as they began."""

from collections import defaultdict
from collections.abc import Iterator
from typing import NamedTuple

import msgspec
from sqlalchemy import func, literal_column, select, text, type_coerce
from sqlalchemy.orm import Session
from sqlalchemy.types import NULLTYPE

from models.conversation import IS_OPEN, Conversation
from models.questionnaire.catalog import Catalog
from models.questionnaire.schema import Question, Questionnaire
from models.version import Version
from storage.base import Statement
from storage.unreadable import unreadable_rows

STATES = {  # of a plan, in words
    "new": "new, no conversation has used it yet",
    "unchanged": "as it is in use",
    "changed": "changed for new conversations",
    "gone": "has no file any more, so nothing opens it",
}


MAX_OPEN = 10_000  # conversations that are counted where somebody waits for it
OpenCounts = dict[str, list[tuple[str, str, int]]]


class Change(NamedTuple):
    """One difference: `what` is added, removed, reworded, kind changed, moved or changed."""

    what: str
    key: str
    detail: str = ""


class Plan(NamedTuple):
    """What becomes of one questionnaire; `state` is new, unchanged, changed or gone."""

    name: str
    state: str
    changes: list[Change]
    open: dict[str, int]  # conversations on another version than the file's, by their question


def find_plans(db: Session, catalog: Catalog, counts: OpenCounts | None = None) -> Iterator[Plan]:
    """One for each questionnaire that has a file or was used, by name.

    Without `counts` all open conversations are counted.
    """
    files = dict(catalog)
    newest = {version.name: version for version in Version.all(db, VERSIONS)}
    counts = count_open(db, COUNT_OPEN) if counts is None else counts
    for name in sorted(files.keys() | newest.keys()):
        after, version = files.get(name), newest.get(name)
        digest = after and after.digest
        elsewhere: dict[str, int] = defaultdict(int)
        for other, key, count in counts.get(name, []):
            if other != digest:
                elsewhere[key] += count
        before = version and version.definition
        state, changes = _compare(before, after)
        yield Plan(name, state, changes, dict(elsewhere))


def count_newest_open(db: Session) -> tuple[OpenCounts, bool]:
    """What `find_plans` takes, of the MAX_OPEN that expire last, and whether there may be more."""
    counts = count_open(db, COUNT_NEWEST_OPEN)
    total = sum(count for versions in counts.values() for _, _, count in versions)
    return counts, total >= MAX_OPEN


def count_open(db: Session, statement: Statement) -> OpenCounts:
    """By the name of the questionnaire: digest, key of the question that waits, conversations."""
    found: OpenCounts = defaultdict(list)
    for _, name, digest, key, count in statement.fetch_readable(db, unreadable_rows(db).add):
        found[name].append((digest, key if isinstance(key, str) else "", count))
    return found


def _compare(before: Questionnaire | None, after: Questionnaire | None) -> tuple[str, list[Change]]:
    if after is None:
        return "gone", []
    if before is None:
        return "new", []
    changes = list(find_changes(before, after))
    return "changed" if changes else "unchanged", changes


def find_changes(before: Questionnaire, after: Questionnaire) -> Iterator[Change]:
    """The differences of two versions. Questions are the same that have the same key."""
    old = {question.key: question for question in before.questions}
    new = {question.key: question for question in after.questions}
    for key, question in new.items():
        if key in old:
            yield from _question_changes(old[key], question)
        else:
            yield Change("added", key, question.ask)
    for key, question in old.items():
        if key not in new:
            yield Change("removed", key, question.ask)
    if [key for key in old if key in new] != [key for key in new if key in old]:
        yield Change("moved", "questions", " ".join(new))
    for name in _differing_fields(before, after, excluded=("questions",)):
        yield Change("changed", name)


def _question_changes(before: Question, after: Question) -> Iterator[Change]:
    if before.ask != after.ask:
        yield Change("reworded", after.key, f"{before.ask} -> {after.ask}")
    if before.kind != after.kind:
        yield Change("kind changed", after.key, f"{before.kind} -> {after.kind}")
    if others := _differing_fields(before, after, excluded=("ask", "key", "kind")):
        yield Change("changed", after.key, ", ".join(others))


def _differing_fields(
    before: msgspec.Struct, after: msgspec.Struct, excluded: tuple[str, ...]
) -> list[str]:
    names = [name for name in after.__struct_fields__ if name not in excluded]
    return [name for name in names if getattr(before, name) != getattr(after, name)]


# Built once: building a statement costs as much as running it.
VERSION, CONVERSATION = Version.__table__, Conversation.__table__
VERSIONS = Statement(select(VERSION).order_by(VERSION.c.created_at, VERSION.c.id))
# The key without its type: of a group, no row could be named.
KEY = type_coerce(CONVERSATION.c.current_key, NULLTYPE)
ASKED = (VERSION.c.id, VERSION.c.name, VERSION.c.digest, KEY)
COUNT_OPEN = Statement(
    select(*ASKED, func.count())
    .select_from(VERSION.join(CONVERSATION))
    .where(text(f"conversations.{IS_OPEN}"))
    .group_by(*ASKED)
    .order_by(VERSION.c.name, CONVERSATION.c.current_key)
)
NEWEST_OPEN = (
    select(CONVERSATION.c.questionnaire_id, KEY.label("key"))
    .where(text(f"conversations.{IS_OPEN}"))
    .order_by(CONVERSATION.c.expires_at.desc())
    .limit(literal_column(str(MAX_OPEN)))
    .subquery()
)
NEWEST_KEY = type_coerce(NEWEST_OPEN.c.key, NULLTYPE)
COUNTED = (VERSION.c.id, VERSION.c.name, VERSION.c.digest, NEWEST_KEY)
COUNT_NEWEST_OPEN = Statement(
    select(*COUNTED, func.count())
    .select_from(VERSION.join(NEWEST_OPEN, VERSION.c.id == NEWEST_OPEN.c.questionnaire_id))
    .group_by(*COUNTED)
    .order_by(VERSION.c.name, NEWEST_KEY)
)
