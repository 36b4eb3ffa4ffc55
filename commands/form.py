"""`form`: what a Google Form asks, how answers get into it, and what would keep them out."""

import os
import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import click
from sqlalchemy.exc import DBAPIError

from commands.check import print_problems, problem_as_dict
from commands.form_check import Checked, NamedForm, check_questionnaires
from commands.group import short_message
from commands.terminal import MAX_LINES, describe_more, echo, escape, pluralize, print_json
from models import Delivery
from models.delivery import new_webhook_id
from models.failures import describe
from models.google_form.address import form_id, is_public, response_url
from models.google_form.options import list_options
from models.google_form.page import FormPage, one_line
from models.google_form.proposal import is_prefilled
from models.google_form.sample import TEST, build_test_row, describe_unmarked
from models.questionnaire.problem import Problem
from models.receiver_form import ReceiverForm, group_by_form
from resources import open_database
from settings import Settings, SettingsError
from storage import Database, DatabaseBroken
from storage.unreadable import UnreadableRow
from storage.versions import known_versions, read_version
from worker.form_page import MAX_PAGE_BYTES, Look, follow_short_link, look, read_page
from worker.http_client import InvalidRequest, RequestFailed
from worker.results import attempt

HOW_TO_SHARE = "In the editor, publish it, copy the responder link, and name that."
NOT_A_FORM = f"This is no address of a Google Form. {HOW_TO_SHARE}"
OF_AN_EDITOR = (
    f"This is an address of the form's editor, and leads to no page of it. {HOW_TO_SHARE}"
)
UNPUBLISHED = {"sign_in", "restricted", "no_form"}  # what an id of the editor finds then
NO_QUESTIONS = "The form has no questions. Add one for each answer that should get there."
NOT_KEPT = "What the form is like now is not kept."
# Why there is no form to see, by its cause, where results do not matter yet.
ABSENCES = {
    "no_data": "The page holds nothing about the form. Open it in a browser, save it, and use"
    " --page FILE; or name a pre-filled link whose fields hold our names, such as Question1.",
    "sign_in": "The form wants a sign-in. Open it to anybody who has the link, without verified"
    " e-mail addresses, files to upload, or a limit to one response.",
    "restricted": "The form is not open to everybody. Publish it, for anybody who has the link.",
    "closed": "The form takes no more responses. Let it accept responses again.",
    "no_form": "There is no form at this address. Correct the address, or restore the form.",
    "bad_fields": "Google does not understand the address. Correct it.",
    "captcha": "Google asked for a captcha. Open the page in a browser, save it, and use"
    " --page FILE.",
    "redirect": "It redirects to {detail}, where no form is. Open it in a browser, and name the"
    " address that the form has there.",
    "http": "HTTP {status}, and not the form's page. Try again later.",
}


@click.command()
@click.argument("url")
@click.option("--for", "name", metavar="NAME", help="The questionnaire whose answers go there.")
@click.option(
    "--page",
    "file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The form's page, saved from a browser.",
)
@click.option("--send-test", is_flag=True, help="Send one row marked TEST.")
@click.option("--yes", is_flag=True, help="Send it without asking.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def form(
    url: str, name: str | None, file: Path | None, send_test: bool, yes: bool, as_json: bool
) -> None:
    """Find out whether answers get into a Google Form.

    It lists what the form asks, proposes which answer goes where, and checks that, or what the
    questionnaire's file says. URL is an address of the form, or a pre-filled link: if its fields
    hold our names, such as Question1, the mapping is read from it.
    """
    settings = Settings.from_env(os.environ)
    if send_test and not name:
        raise click.UsageError("--send-test needs --for NAME, whose answers would go there.")
    named = find_form(url, file, settings)
    checked = check_questionnaires(settings.questionnaires, name, named)
    accepted = accept(settings, named, checked)
    (print_as_json if as_json else print_as_text)(named, checked, accepted)
    if send_test:
        for each in checked:
            send_test_row(settings, each, named.page, yes)
    found = [problem for each in checked for problem in each.problems]
    if any(problem.is_error for problem in [*named.problems, *found]):
        sys.exit(os.EX_CONFIG)


def find_form(url: str, file: Path | None, settings: Settings) -> NamedForm:
    """The form that an address, or a saved page, is of; SettingsError for all else."""
    link = follow_link(url, settings)
    if file:
        found = read_saved(file, link)
    else:
        found = look(link, allow_private=settings.allow_private_receivers)
    if found.page is None and not (found.cause == "no_data" and is_prefilled(link)):
        leads_nowhere = not is_public(link) and found.cause in UNPUBLISHED
        raise SettingsError(OF_AN_EDITOR if leads_nowhere else describe_absence(found))
    if found.page and not found.page.questions:
        raise SettingsError(NO_QUESTIONS)
    return NamedForm(link, response_url(link, found.page.id if found.page else ""), found.page)


def follow_link(url: str, settings: Settings) -> str:
    """An address of a form, or a pre-filled link; SettingsError for all others."""
    try:
        url = follow_short_link(url, allow_private=settings.allow_private_receivers)
        response_url(url)
    except (RequestFailed, InvalidRequest) as error:
        raise SettingsError(f"The short link cannot be followed. {escape(str(error))}") from None
    except ValueError:
        raise SettingsError(NOT_A_FORM) from None
    return url


def read_saved(path: Path, url: str) -> Look:
    """What a page says that was saved; SettingsError for a file that cannot be this form's."""
    if path.stat().st_size > MAX_PAGE_BYTES:
        raise SettingsError(f"--page: {path} is larger than 2 MiB. Name the page of a form.")
    found = read_page(path.read_text("utf-8", "replace"), url)
    if found.page and is_public(url) and found.page.id not in ("", form_id(url)):
        title = one_line(found.page.title)
        sentence = f"--page: {path} is the page of another form, {title}. Save that of this form."
        raise SettingsError(sentence)
    return found


def describe_absence(found: Look) -> str:
    """Why there is no form to see, and what to do."""
    if sentence := ABSENCES.get(found.cause):
        return sentence.format(status=found.status, detail=escape(found.detail))
    return escape(describe(found.cause, found.status, found.detail))


def accept(settings: Settings, named: NamedForm, checked: list[Checked]) -> str:
    """Accept the form as it is, if results go there; what became of that, or "".

    A database that is not there, as where files are written elsewhere, keeps nothing from going on.
    """
    groups = group_by_form((each.name, each.questionnaire) for each in checked if each.sends)
    if not groups or named.page is None:
        return ""
    try:
        with open_database(settings) as database:
            if reason := why_unfit(settings, database):
                return f"{NOT_KEPT} {reason}"
            for url, group in groups.items():
                save = partial(ReceiverForm.save_accepted, url=url, page=named.page)
                database.write(partial(save, questionnaires=group, now=database.now()))
    except (DBAPIError, OSError, DatabaseBroken) as error:
        return f"{NOT_KEPT} The database cannot be used: {short_message(error)}."
    except UnreadableRow as error:
        return f"{NOT_KEPT} {error}. Correct this row; see docs/operating.md."
    return "The form is accepted as it is now."


def why_unfit(settings: Settings, database: Database) -> str:
    """Why nothing can be kept in a database, or ""."""
    # To look into a file of SQLite would make it.
    path = database.engine.url.database
    if settings.on_sqlite and not os.path.exists(path):
        return f"There is no database at {path}. Set DATABASE_URL to that of `serve`."
    if read_version(database)[0] != known_versions()[-1]:
        return "The database is of another version. Run: python smsconvo.py upgrade"
    return ""


# What is shown ###############################################################


def print_as_text(named: NamedForm, checked: list[Checked], accepted: str) -> None:
    if named.page:
        click.secho(f"{one_line(named.page.title)}: {named.url}", bold=True)
        echo(f"  {describe_form(named.page)}")
        for line in tabulate(named.page):
            echo(f"  {line}")
    if not any(each.questionnaire for each in checked):
        print_first(named.problems)
    for each in checked:
        if each.proposal:
            echo(f"\nFor {each.name}.toml, {describe_paste(each)}:\n")
            echo(each.proposal)
            echo()
        print_first([problem._replace(file=f"{each.name}.toml") for problem in each.problems])
        if not each.problems:
            echo(f"{each.name}: all is well.", fg="green")
    if accepted:
        echo(accepted)


def describe_paste(checked: Checked) -> str:
    """Where a proposal goes."""
    target = "in the place of its [results]" if checked.replaces else "at its end"
    condition = "" if checked.is_valid else " once the errors below are corrected"
    return f"to paste {target}{condition}"


def print_first(problems: Sequence[Problem]) -> None:
    """Print some problems, errors first, and how many more there are."""
    ordered = sorted(problems, key=lambda problem: not problem.is_error)
    print_problems(ordered[:MAX_LINES])
    if more := describe_more(len(problems)):
        click.echo(more, err=True)


def describe_form(page: FormPage) -> str:
    """What holds for all of a form."""
    parts = [pluralize(page.sections, "section"), EMAIL_RULES[page.email_rule]]
    if page.confirmation:
        parts.append(f'confirms with "{one_line(page.confirmation)}"')
    return ", ".join(parts)


EMAIL_RULES = {
    "none": "collects no e-mail addresses",
    "typed": "asks for an e-mail address (emailAddress)",
    "verified": "collects verified e-mail addresses",
}


def tabulate(page: FormPage) -> Iterator[str]:
    """A line for each question: entry, kind, whether it is required, title, options."""
    rows = [
        (question.entry, question.kind, "required" if question.required else "")
        for question in page.questions
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    for row, question in zip(rows, page.questions, strict=True):
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
        options = list_options(question.options) + ", Other" * question.has_other
        title = one_line(question.title)
        yield "  ".join([*cells, f"{title}: {options}" if options else title]).rstrip()


def print_as_json(named: NamedForm, checked: list[Checked], accepted: str) -> None:
    content = {
        "url": named.url,
        "form": named.page,
        "findings": [problem_as_dict(problem) for problem in named.problems],
        "questionnaires": [
            {
                "name": each.name,
                "proposal": each.proposal or None,
                "findings": [problem_as_dict(problem) for problem in each.problems],
            }
            for each in checked
        ],
        "accepted": accepted or None,
    }
    print_json(content, indent=2)


# A row to test with ##########################################################


def send_test_row(
    settings: Settings, checked: Checked, page: FormPage | None, is_agreed: bool
) -> None:
    """Send a row marked TEST, if that is agreed to, and say whether it was recorded."""
    results = checked.questionnaire.results
    now, webhook_id = datetime.now(UTC), new_webhook_id()
    payload = build_test_row(checked.questionnaire, page, webhook_id, now)
    unmarked = describe_unmarked(payload, page)
    what = f"without {TEST}, as no question takes it: {unmarked}" if unmarked else f"marked {TEST}"
    if not is_agreed:
        click.confirm(f"Send to {results.url} one row {what}?", abort=True, err=True)
    row = Delivery(url=results.url, format=results.format, webhook_id=webhook_id, payload=payload)
    outcome = attempt(row, settings, now, page.confirmation if page else "")
    if outcome.error:
        sentence = f"The row for {checked.name} was not recorded. {escape(outcome.error)}"
        raise click.ClickException(sentence)
    text = f"{checked.name}: the form has recorded a row {what}. Delete it there."
    click.secho(text, fg="green", err=True)
