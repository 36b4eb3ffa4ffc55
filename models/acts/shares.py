"""What operators do with links that show results to others."""

from collections.abc import Iterator
from datetime import timedelta

from sqlalchemy.orm import Session

from models.acts.act import Act, CannotAct, Field
from models.console import ConsoleShare, OperatorAction
from models.console.share import ABSENT, MASKED, MAX_LIVE, SHOWN
from models.console.token import digest, new_token
from models.reports.answer_filter import Filter, find_filter
from models.reports.charts import show_question, shows_own_words
from models.reports.context import NotFound, PageContext

DAYS = {"1": "a day", "7": "a week", "30": "30 days", "90": "90 days", "365": "a year"}
USUAL_DAYS = "30"
SENDERS = {ABSENT: "not shown", MASKED: "only the country, like +44…"}
NAMES = {ABSENT: "not shown", SHOWN: "shown"}


def find_make(db: Session, context: PageContext) -> Act:
    """Make a link to results of the questionnaire that is asked for, which is shown once."""
    filter, token = find_filter(db, context), new_token()
    if context.query.value("questionnaire") != filter.name:  # it is there no more
        raise NotFound
    if not filter.keys:
        raise CannotAct("There is no question yet whose answers could be shown.")

    def do(db: Session) -> None:
        if len(ConsoleShare.find_all(db, context.now)) >= MAX_LIVE:
            raise CannotAct(f"There are {MAX_LIVE} links already. Revoke one that nobody needs.")
        share = _read_share(context, filter, token)
        share.make(db, context.now)
        OperatorAction.record(db, context.now, context.operator, "share", share, filter.name)

    sentence = f"Whoever has the link sees what is answered to “{filter.names[filter.name]}”, also"
    sentence += " later, until it ends or you revoke it. Choose the questions."
    return Act(
        *("Share these results?", sentence, "Make the link", "/console/shares", do),
        fields=list(_fields(filter)),
        secret=f"/r/{token}",
    )


def find_revoke(db: Session, context: PageContext, id: int) -> Act:
    """Let a link show nothing any more."""

    def do(db: Session) -> None:
        share = _find(db, context, id)
        share.delete(db)
        OperatorAction.record(db, context.now, context.operator, "revoke share", share)

    name = _find(db, context, id).questionnaire
    sentence = f"Whoever has it sees nothing of {name} any more, at once. You cannot take that"
    sentence += " back, but you can make another one."
    back = "/console/shares?done=revoke-share"
    return Act("Revoke this link?", sentence, "Revoke", back, do)


def _find(db: Session, context: PageContext, id: int) -> ConsoleShare:
    share = ConsoleShare.find_by_id(db, id, context.now)
    if share is None:
        raise NotFound
    return share


def _fields(filter: Filter) -> Iterator[Field]:
    yield Field("questionnaire", "", "hidden", filter.name)
    shown = {key: show_question(filter.questions[key]) for key in filter.keys}
    own = {key for key in filter.keys if shows_own_words(filter.questions[key])}
    groups = {"Questions": shown.keys() - own, "Guests' own words, and photos": own}
    for label, keys in groups.items():
        if keys:
            listed = {key: words for key, words in shown.items() if key in keys}
            yield Field("question", label, "checks", options=listed)
    yield Field("senders", "Senders", "choice", ABSENT, options=SENDERS)
    yield Field("names", "Names", "choice", ABSENT, options=NAMES)
    yield Field("days", "It ends after", "choice", USUAL_DAYS, options=DAYS)


def _read_share(context: PageContext, filter: Filter, token: str) -> ConsoleShare:
    """What the form asks for; CannotAct if no question is chosen."""
    query = context.query
    chosen = [key for key in filter.keys if key in query.values("question")]
    if not chosen:
        raise CannotAct("Choose at least one question. Go back, and tick it.")
    days = int(query.choice("days", DAYS) or USUAL_DAYS)
    return ConsoleShare(
        digest=digest(token),
        questionnaire=filter.name,
        questions={key: filter.questions[key].kind for key in chosen},
        senders=query.choice("senders", SENDERS) or ABSENT,
        names=query.choice("names", NAMES) or ABSENT,
        created_by=context.operator.name,
        created_at=context.now,
        expires_at=context.now + timedelta(days=days),
    )
