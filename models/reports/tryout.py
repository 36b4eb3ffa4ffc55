"""A questionnaire on a phone in the browser: what it says to texts that nobody sends."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote, urlencode

import msgspec

from logs import error_location
from models.conversation import REVIEW, Conversation
from models.delivery import Delivery
from models.questionnaire import loader
from models.questionnaire.answers import ParseContext
from models.questionnaire.catalog import Catalog
from models.questionnaire.costs import Cost, CostReport
from models.questionnaire.linter import find_problems
from models.questionnaire.problem import Problem
from models.questionnaire.schema import Questionnaire
from models.reports.context import NotFound, PageContext, Query
from models.tryout import (
    LONGEST_TEXT,
    MAX_STEPS,
    SENDERS,
    Handset,
    Step,
    Tryout,
    read_steps,
    write_steps,
)
from toml_file import read_bytes

SOURCES = {"file": "File on the disk", "use": "Version in use", "text": "Text in the box"}
LONGEST_DRAFT = 20_000  # characters
LONGEST_ADDRESS = 4000  # that servers, proxies and browsers take
MAX_TAPS = 12
FARTHEST = timedelta(days=366)  # of the beginning, from now
ACTS = {
    "stop": Step("text", "STOP"),
    "start": Step("text", "START"),
    "hour": Step("hour"),
    "day": Step("day"),
    "again": Step("again"),
    "lose cookie": Step("lose cookie"),
}


class Result(NamedTuple):
    """A result as its receiver would get it: fields, or JSON."""

    fields: list[tuple[str, str]]
    json: str


class TryPage(NamedTuple):
    """A tryout, and all that its form sends to go on with it."""

    name: str
    names: list[str]  # of all questionnaires
    source: str  # one of SOURCES
    sources: dict[str, str]  # that the operator may choose
    draft: str
    steps: list[Step]
    started: int  # seconds since 1970
    problems: Sequence[Problem] = ()
    questionnaire: Questionnaire | None = None  # None if it has errors
    costs: tuple[Cost, Cost] | None = None  # the least and the most of a whole conversation
    tryout: Tryout | None = None  # None if there is nothing to be tried out
    taps: Sequence[str] = ()  # texts that would do now

    @property
    def zone(self) -> str | None:
        """The time zone of the questionnaire."""
        return self.questionnaire and self.questionnaire.timezone

    @property
    def path(self) -> str:
        """Where its form goes."""
        return f"/console/try/{quote(self.name, safe='')}"

    @property
    def script(self) -> str:
        """The steps, for the form."""
        return write_steps(self.steps)

    @property
    def address(self) -> str:
        """Where a GET shows the same; "" if that would be too long."""
        query = {"source": self.source} if self.source != "file" else {}
        if self.steps:
            query |= {"started": str(self.started), "steps": self.script}
        found = f"{self.path}?{urlencode(query)}" if query else self.path
        return found if self.source != "text" and len(found) <= LONGEST_ADDRESS else ""

    @property
    def is_full(self) -> bool:
        """Whether no further step can be taken."""
        return len(self.steps) >= MAX_STEPS

    @property
    def handset(self) -> Handset:
        """The phone in hand."""
        return self.tryout.handset

    @property
    def senders(self) -> list[str]:
        """Those who have texted before, and one who has not."""
        known = [each for each in SENDERS if each in self.tryout.handsets]
        return [each for each in SENDERS[: len(known) + 1] if each != self.handset.sender]

    @property
    def state(self) -> str:
        """What the newest conversation does, in words."""
        newest = self.handset.newest
        if newest is None:
            return "no conversation yet"
        if newest.can_resume(self.tryout.now):
            return "gone silent; the next text goes on with it"
        return STATES[newest.state]

    @property
    def is_waiting(self) -> bool:
        """Whether the next text answers the question that was asked last."""
        newest = self.handset.newest
        return newest is not None and newest.is_waiting(self.tryout.now)

    @property
    def answers(self) -> list[tuple[str, str]]:
        """The answers until now, by key."""
        newest = self.handset.newest
        found = [newest.answers[each.key] for each in newest.answered_questions] if newest else []
        return [(answer.key, answer.value or "skipped") for answer in found]

    @property
    def results(self) -> list[Result]:
        """What would be sent; nothing without [results]."""
        return [_show_result(each) for each in self.handset.results] if self.receiver else []

    @property
    def receiver(self) -> str:
        """Where results would go."""
        return self.questionnaire.results.url if self.questionnaire.results else ""


STATES = {
    "open": "waits for the next text",
    "completed": "completed",
    "stopped": "stopped",
    "expired": "gone silent",
}


def find_tryout(context: PageContext, directory: Path, name: str = "", *, is_form: bool) -> TryPage:
    """What the steps of a form lead to, and one more, if the form has one.

    A text in the box can take much to compute. So no mere link may bring one.
    """
    query = context.query
    names = _find_names(context.catalog, directory)
    name = name or _find_first(context.catalog) or next(iter(names), "")
    if name not in names:
        raise NotFound
    sources = {each: SOURCES[each] for each in SOURCES if may_use(context, each)}
    source = query.choice("source", sources) or "file"
    if source == "text" and not is_form:
        source = "file"
    draft = _find_draft(query, directory, name) if source == "text" else ""
    page = TryPage(
        name,
        names,
        source,
        sources,
        draft,
        steps=_find_steps(query),
        started=int(_find_start(query, context.now).timestamp()),
    )
    try:
        read, problems = _read_source(context.catalog, directory, page)
        page = page._replace(problems=problems)
        return page if read is None else _try(page._replace(questionnaire=read), context)
    except Exception as error:  # whatever somebody wrote
        sentence = f"cannot be tried out: {error_location(error)}. Undo the last change."
        return page._replace(problems=[*page.problems, Problem("", sentence)], tryout=None)


def may_use(context: PageContext, source: str) -> bool:
    """Whether the operator may try this."""
    return source != "text" or context.operator.may_act


def _try(page: TryPage, context: PageContext) -> TryPage:
    """The page with what its steps lead to, and with what that costs."""
    questionnaire, names = page.questionnaire, set(context.people.values())
    report = CostReport.of(questionnaire, names, context.now.date())
    catalog = Catalog({page.name: questionnaire})
    started = datetime.fromtimestamp(page.started, UTC)
    tryout = Tryout.of(page.name, catalog, context.people, started, page.steps)
    return page._replace(
        problems=[*page.problems, *report.warnings(), *report.ucs2_names(sorted(names))],
        costs=report.costs(),
        tryout=tryout,
        taps=_find_taps(questionnaire, tryout.handset.newest, tryout.now),
    )


def find_test(context: PageContext, directory: Path, name: str) -> bytes:
    """The file of a test that repeats what was texted, with what is replied now."""
    found = find_tryout(context, directory, name, is_form=True)
    if found.tryout is None or not found.handset.turns:
        raise NotFound
    catalog = Catalog({name: found.questionnaire}).select(name)
    return found.handset.record(name).as_test(context.people.values(), catalog)


def _find_first(catalog: Catalog) -> str:
    """The one that any text opens, as in a rehearsal; else the first that asks something."""
    with_questions = [(name, each) for name, each in catalog if each.questions]
    by_any_text = (name for name, each in with_questions if each.event is None)
    return next(by_any_text, with_questions[0][0] if with_questions else "")


def _find_names(catalog: Catalog, directory: Path) -> list[str]:
    names = {name for name, _ in catalog}
    try:
        names |= {path.stem for path in loader.find_files(directory)}
    except OSError:
        pass
    return sorted(name for name in names if not loader.NOT_UTF8.search(name))


def _find_draft(query: Query, directory: Path, name: str) -> str:
    """The text in the box; that of the file where the box is not open yet."""
    if draft := query.value("draft"):
        return draft
    try:
        return read_bytes(directory / f"{name}.toml").decode()[:LONGEST_DRAFT]
    except (OSError, ValueError):
        return ""


def _read_source(
    catalog: Catalog, directory: Path, page: TryPage
) -> tuple[Questionnaire | None, list[Problem]]:
    """What is tried out, if it has no errors, and all that `check` says of it."""
    if page.source == "use":
        questionnaire = dict(catalog).get(page.name)
        problems = list(find_problems(questionnaire)) if questionnaire else [NOT_IN_USE]
    elif page.source == "file":
        questionnaire, problems = _examine(directory, page.name)
    elif len(page.draft) > LONGEST_DRAFT:
        return None, [Problem("", f"has more than {LONGEST_DRAFT:,} characters. Shorten it.")]
    else:
        questionnaire, problems = loader.read_text(page.draft)
    has_errors = any(problem.is_error for problem in problems)
    return (None if has_errors else questionnaire), problems


NOT_IN_USE = Problem("", "is not in use. Correct the file.")


def _examine(directory: Path, name: str) -> tuple[Questionnaire | None, list[Problem]]:
    """The file of this name as it is now, and what is wrong with it, alone or beside others."""
    catalog, problems = loader.examine(directory)
    file = str(directory / f"{name}.toml")
    found = [
        problem
        for problem in problems
        if problem.file in (file, str(directory))
        or problem.file.startswith(f"{file} and ")
        or problem.file.endswith(f" and {name}.toml")
    ]
    questionnaire = dict(catalog).get(name)
    if questionnaire is None and not found:
        found.append(Problem("", "is not on the disk any more. Put it back."))
    return questionnaire, found


def _find_start(query: Query, now: datetime) -> datetime:
    """When the tryout began: this minute, unless the form says something else that makes sense."""
    seconds, current = query.id("started"), int(now.timestamp())
    if seconds is None or abs(seconds - current) > FARTHEST.total_seconds():
        return now.replace(second=0, microsecond=0)
    return datetime.fromtimestamp(seconds, UTC)


def _find_steps(query: Query) -> list[Step]:
    """The steps of the form, and the one of the button that was pressed."""
    steps = read_steps(query.value("steps"))
    step, is_over = _find_step(query), query.value("act") == "start over"
    if is_over or step is None or len(steps) >= MAX_STEPS:
        return [] if is_over else steps
    return [*steps, step]


def _find_step(query: Query) -> Step | None:
    words = (query.value("tap") or query.value("text"))[:LONGEST_TEXT]
    act, sender = query.value("act"), query.choice("sender", SENDERS)
    if sender:
        return Step("sender", sender)
    if act == "picture":
        return Step("picture", words)
    return ACTS.get(act) or (Step("text", words) if words else None)


def _find_taps(
    questionnaire: Questionnaire, newest: Conversation | None, now: datetime
) -> list[str]:
    """Texts that would do now: what opens it, or what the question that waits can be answered by.

    None where that may be anything.
    """
    if newest is None or not newest.is_waiting(now):
        return [questionnaire.event] if questionnaire.event else []
    sentences = questionnaire.sentences
    if newest.current_key == REVIEW:
        return [sentences.ok]
    question, kind = questionnaire.by_key[newest.current_key], newest.kind
    if newest.readings:
        context = ParseContext(now, questionnaire.timezone, questionnaire.language)
        return [kind.show_reading(question, value, context) for value in newest.readings]
    values = kind.values(question)
    shown = (
        [kind.show(question, each, sentences) for each in values] if len(values) <= MAX_TAPS else []
    )
    return [*shown, sentences.skip] if question.optional else shown


def _show_result(result: Delivery) -> Result:
    if result.format == "json":
        return Result([], msgspec.json.format(result.payload, indent=2))
    content = msgspec.json.decode(result.payload)
    return Result(
        [
            (name, value)
            for name, values in content.items()
            for value in (values if isinstance(values, list) else [values])
        ],
        "",
    )
