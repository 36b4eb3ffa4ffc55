"""What changes for new conversations, and where those are that go on with what they began with."""

from collections import defaultdict
from collections.abc import Iterator
from typing import NamedTuple

import msgspec
from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from models.conversation import IS_OPEN, Conversation
from models.questionnaire.catalog import Catalog
from models.questionnaire.schema import Question, Questionnaire
from models.version import Version


class Change(NamedTuple):
    """One difference: `what` is added, removed, reworded, kind changed, moved or changed."""

    what: str
    key: str
    words: str = ""


class Plan(NamedTuple):
    """What becomes of one questionnaire; `state` is new, unchanged, changed or gone."""

    name: str
    state: str
    changes: list[Change]
    open: dict[str, int]  # conversations on another version than the file's, by what they are asked


def find_plans(db: Session, questionnaires: Catalog) -> Iterator[Plan]:
    """One for each questionnaire that has a file or was used, by name."""
    files = dict(questionnaires)
    newest = {
        version.name: version
        for version in db.scalars(select(Version).order_by(Version.created_at, Version.id))
    }
    waiting = _count_open(db)
    for name in sorted(files.keys() | newest.keys()):
        after, before = files.get(name), newest.get(name)
        digest = after.digest if after else None
        others: dict[str, int] = defaultdict(int)
        for version, asking, count in waiting.get(name, []):
            if version != digest:
                others[asking] += count
        yield _plan(name, before and before.definition, after, dict(others))


def _count_open(db: Session) -> dict[str, list[tuple[str, str, int]]]:
    """By the name of the questionnaire: the version, the question that waits, and how many."""
    found: dict[str, list[tuple[str, str, int]]] = defaultdict(list)
    counted = (
        select(Version.name, Version.digest, Conversation.current_key, func.count())
        .join(Conversation, Conversation.questionnaire_id == Version.id)
        .where(text(f"conversations.{IS_OPEN}"))
        .group_by(Version.name, Version.digest, Conversation.current_key)
        .order_by(Version.name, Conversation.current_key)
    )
    for name, digest, asking, count in db.execute(counted):
        found[name].append((digest, asking or "", count))
    return found


def _plan(
    name: str, before: Questionnaire | None, after: Questionnaire | None, open: dict[str, int]
) -> Plan:
    if after is None:
        return Plan(name, "gone", [], open)
    if before is None:
        return Plan(name, "new", [], open)
    changes = list(find_changes(before, after))
    return Plan(name, "changed" if changes else "unchanged", changes, open)


def find_changes(before: Questionnaire, after: Questionnaire) -> Iterator[Change]:
    """Questions are the same that have the same key."""
    old = {question.key: question for question in before.questions}
    new = {question.key: question for question in after.questions}
    for key, question in new.items():
        if key in old:
            yield from _find_changes_of(old[key], question)
        else:
            yield Change("added", key, question.ask)
    for key, question in old.items():
        if key not in new:
            yield Change("removed", key, question.ask)
    if [key for key in old if key in new] != [key for key in new if key in old]:
        yield Change("moved", "questions", " ".join(new))
    for name in _find_differing(before, after, but=("questions",)):
        yield Change("changed", name)


def _find_changes_of(before: Question, after: Question) -> Iterator[Change]:
    if before.ask != after.ask:
        yield Change("reworded", after.key, f"{before.ask} -> {after.ask}")
    if before.kind != after.kind:
        yield Change("kind changed", after.key, f"{before.kind} -> {after.kind}")
    if others := _find_differing(before, after, but=("ask", "key", "kind")):
        yield Change("changed", after.key, ", ".join(others))


def _find_differing(before: msgspec.Struct, after: msgspec.Struct, but: tuple[str, ...]) -> list:
    names = [name for name in before.__struct_fields__ if name not in but]
    return [name for name in names if getattr(before, name) != getattr(after, name)]
