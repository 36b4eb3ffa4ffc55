"""`form`: what a Google Form asks, how answers get into it, and what would keep them out."""

import json
import os
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import NamedTuple

import click
import msgspec

from commands.check import print_problems, problem_as_dict
from commands.terminal import echo, pluralize
from models import Delivery, InvalidQuestionnaire, Questionnaire
from models.delivery import new_webhook_id
from models.failures import describe_event
from models.google_form.address import is_edit_url, response_url
from models.google_form.options import list_options
from models.google_form.page import FormPage, one_line
from models.google_form.preflight import find_form_problems, find_problems
from models.google_form.proposal import is_prefilled, propose, read_prefilled, render
from models.google_form.sample import TEST, build_test_row
from models.questionnaire import loader, mapping
from models.questionnaire.problem import Problem
from models.receiver_form import ReceiverForm, form_url
from resources import open_database
from settings import Settings, SettingsError
from storage.versions import known_versions, read_version
from worker.form_page import MAX_PAGE_BYTES, Look, follow_short_link, look, read_page
from worker.http_client import InvalidRequest, RequestFailed
from worker.results import attempt

HOW_TO_SHARE = "In the editor, publish it, copy the responder link, and name that."
NOT_A_FORM = f"This is no address of a Google Form. {HOW_TO_SHARE}"
OF_AN_EDITOR = (
    "This is the address of the form's editor, and that of its public page does not follow from it."
    f" {HOW_TO_SHARE}"
)
NO_DATA = (
    "The page holds nothing about the form. Open it in a browser, save it, and use --page FILE;"
    " or name a pre-filled link whose fields hold our names, such as Question1."
)


class Checked(NamedTuple):
    """A questionnaire, with the mapping that was checked, and what is wrong with that."""

    name: str
    questionnaire: Questionnaire
    proposal: str  # TOML to paste, or "" if its file maps this form already
    problems: list[Problem]


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
    questionnaire's file says. URL is the form's public address, or a pre-filled link: if its fields
    hold our names, such as Question1, the mapping is read from it.
    """
    settings = Settings.from_env(os.environ)
    if send_test and not name:
        raise click.UsageError("--send-test needs --for NAME, whose answers would go there.")
    url = find_public_url(url, settings)
    found = read_file(file, url) if file else look_at(url, settings)
    if found.page is None and not (found.cause == "no_data" and is_prefilled(url)):
        raise SettingsError(describe_absence(found))
    checked = list(check_questionnaires(settings, url, name, found.page))
    (print_as_json if as_json else print_as_text)(response_url(url), found.page, checked)
    if found.page:
        save_accepted(settings, url, found.page, checked)
    if send_test:
        for each in checked:
            send_test_row(settings, each, found.page, yes)
    if any(problem.is_error for each in checked for problem in each.problems):
        sys.exit(os.EX_CONFIG)


def find_public_url(url: str, settings: Settings) -> str:
    """The address of a form's page, or a pre-filled link; SettingsError for all others."""
    try:
        url = follow_short_link(url, allow_private=settings.allow_private_receivers)
        if is_edit_url(url):
            raise SettingsError(OF_AN_EDITOR)
        response_url(url)
    except (RequestFailed, InvalidRequest) as error:
        raise SettingsError(f"The short link cannot be followed. {error}") from None
    except SettingsError:
        raise
    except ValueError:
        raise SettingsError(NOT_A_FORM) from None
    return url


def look_at(url: str, settings: Settings) -> Look:
    """What the form's page says now."""
    return look(url, allow_private=settings.allow_private_receivers)


def read_file(path: Path, url: str) -> Look:
    """The same of a page that was saved; SettingsError for a file that cannot be one."""
    if path.stat().st_size > MAX_PAGE_BYTES:
        raise SettingsError(f"--page: {path} is larger than 2 MiB. Name the page of a form.")
    return read_page(path.read_text("utf-8", "replace"), url)


def describe_absence(found: Look) -> str:
    """Why there is no form to see, and what to do."""
    if found.cause == "no_data":
        return NO_DATA
    return describe_event(found.cause, found.status, found.detail)


def check_questionnaires(
    settings: Settings, url: str, name: str | None, page: FormPage | None
) -> Iterator[Checked]:
    """Check this questionnaire, or all whose file says that they send to this form."""
    catalog, problems = loader.examine(settings.questionnaires)
    questionnaires = dict(catalog)
    if name is None:
        chosen = [each for each in questionnaires if sends_to(questionnaires[each], url)]
    elif name in questionnaires and not questionnaires[name].is_counter:
        chosen = [name]
    else:
        names = ", ".join(each for each in questionnaires if not questionnaires[each].is_counter)
        raise SettingsError(f"--for: {name} is no questionnaire with questions. Name one: {names}.")
    for each in chosen:
        file = str(settings.questionnaires / f"{each}.toml")
        raise_errors(problems, file)
        yield check_mapping(each, questionnaires[each], url, page)


def raise_errors(problems: list[Problem], file: str) -> None:
    """InvalidQuestionnaire for errors of a file, except for those of its mapping."""
    errors = [each for each in problems if each.is_error and each.file == file]
    if others := [str(each) for each in errors if each.part != "results"]:
        raise InvalidQuestionnaire(*others)


def sends_to(questionnaire: Questionnaire, url: str) -> bool:
    """Whether results go to this form, by whichever of its addresses."""
    results = questionnaire.results
    return results is not None and form_url(results.url) == form_url(url)


def check_mapping(
    name: str, questionnaire: Questionnaire, url: str, page: FormPage | None
) -> Checked:
    """Check what the file maps if that is this form, or else what is proposed."""
    known, proposal = read_prefilled(url, questionnaire), ""
    if known or not sends_to(questionnaire, url):
        results = propose(page, questionnaire, url, known)
        proposal = render(results, page)
        questionnaire = msgspec.structs.replace(questionnaire, results=results)
    problems = list(mapping.find_problems(questionnaire))
    if page and questionnaire.results.format == "json":
        problems += find_form_problems(page)
    elif page:
        problems += find_problems(page, questionnaire)
    return Checked(name, questionnaire, proposal, list(dict.fromkeys(problems)))


def save_accepted(settings: Settings, url: str, page: FormPage, checked: list[Checked]) -> None:
    """Accept the form as it is now, if results go there and there is a database to keep it in."""
    if not checked or any(each.proposal for each in checked):
        return
    with open_database(settings) as database:
        # To look into a file of SQLite would make it.
        is_there = not settings.on_sqlite or os.path.exists(database.engine.url.database)
        if is_there and read_version(database)[0] == known_versions()[-1]:
            questionnaires = [(each.name, each.questionnaire) for each in checked]
            accept = partial(ReceiverForm.save_accepted, url=form_url(url), page=page)
            accept = partial(accept, questionnaires=questionnaires, now=database.now())
            database.write(accept)


# What is shown ###############################################################


def print_as_text(url: str, page: FormPage | None, checked: list[Checked]) -> None:
    if page:
        click.secho(f"{one_line(page.title)}: {url}", bold=True)
        echo(f"  {describe_form(page)}")
        for line in tabulate(page):
            echo(f"  {line}")
        if not checked:
            print_problems(list(find_form_problems(page)))
    for each in checked:
        if each.proposal:
            echo(f"\nFor {each.name}.toml, to paste at its end:\n")
            echo(each.proposal)
            echo()
        print_problems([problem._replace(file=f"{each.name}.toml") for problem in each.problems])
        if not each.problems:
            echo(f"{each.name}: all is well.", fg="green")


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


def print_as_json(url: str, page: FormPage | None, checked: list[Checked]) -> None:
    content = {
        "url": url,
        "form": page and msgspec.to_builtins(page),
        "findings": [problem_as_dict(problem) for problem in find_form_problems(page)]
        if page
        else [],
        "questionnaires": [
            {
                "name": each.name,
                "proposal": each.proposal or None,
                "findings": [problem_as_dict(problem) for problem in each.problems],
            }
            for each in checked
        ],
    }
    echo(json.dumps(content, indent=2, ensure_ascii=False))


# A row to test with ##########################################################


def send_test_row(
    settings: Settings, checked: Checked, page: FormPage | None, is_agreed: bool
) -> None:
    """Send a row marked TEST, if that is agreed to, and say whether it was recorded."""
    url = checked.questionnaire.results.url
    if not is_agreed:
        click.confirm(f"Send one row marked {TEST} to {url}?", abort=True, err=True)
    now, webhook_id = datetime.now(UTC), new_webhook_id()
    payload = build_test_row(checked.questionnaire, page, webhook_id, now)
    format = checked.questionnaire.results.format
    row = Delivery(url=url, format=format, webhook_id=webhook_id, payload=payload)
    outcome = attempt(row, settings, now)
    if outcome.error:
        raise click.ClickException(f"The row for {checked.name} was not recorded. {outcome.error}")
    text = f"{checked.name}: the form has recorded a row marked {TEST}. Delete it there."
    click.secho(text, fg="green", err=True)
