"""Questionnaire files and a Google Form: what each maps, or could, and what is wrong with that."""

import os
import tomllib
from collections.abc import Collection
from pathlib import Path
from typing import NamedTuple

from models import InvalidQuestionnaire, Questionnaire
from models.google_form.address import response_url
from models.google_form.page import FormPage
from models.google_form.preflight import find_form_problems, find_problems
from models.google_form.proposal import propose, read_prefilled, render
from models.questionnaire import loader
from models.questionnaire.problem import Problem
from models.receiver_form import form_url
from settings import SettingsError


class NamedForm(NamedTuple):
    """The form that the operator has named."""

    link: str  # as it was named, perhaps with answers in it
    url: str  # where it takes answers
    page: FormPage | None  # None where the link says it all

    @property
    def problems(self) -> list[Problem]:
        """What no mapping can help."""
        return list(find_form_problems(self.page)) if self.page else []

    def gets_results_of(self, questionnaire: Questionnaire) -> bool:
        """Whether results go there, by whichever of its addresses."""
        urls = {self.url, response_url(self.link)}
        return questionnaire.results is not None and form_url(questionnaire.results.url) in urls


class Checked(NamedTuple):
    """A questionnaire, with the mapping that was checked, and what is wrong with that."""

    name: str
    questionnaire: Questionnaire | None  # None for a file that cannot be read
    problems: list[Problem]
    proposal: str = ""  # TOML to paste, or "" if its file maps this form already
    replaces: bool = False  # whether the file has results, which the proposal would replace
    is_valid: bool = True  # whether `check` accepts the file, with the proposal in it

    @property
    def sends(self) -> bool:
        """Whether the results of the file go to the form as it is."""
        return self.questionnaire is not None and not self.proposal


class File(NamedTuple):
    """A questionnaire file, and what `check` says of it and of its conflicts with others."""

    path: Path
    questionnaire: Questionnaire | None  # as far as it can be read
    problems: list[Problem]

    @property
    def problems_of_results(self) -> list[Problem]:
        """Those that other results would not have."""
        return [problem for problem in self.problems if problem.part == "results"]

    def raise_other_errors(self) -> None:
        """InvalidQuestionnaire for all other errors."""
        errors = [each for each in self.problems if each.is_error and each.part != "results"]
        if errors:
            raise InvalidQuestionnaire(*map(str, errors))


def check_questionnaires(directory: Path, name: str | None, form: NamedForm) -> list[Checked]:
    """Check this questionnaire, or all whose file says that they send to this form.

    InvalidQuestionnaire for errors that have nothing to do with results.
    """
    files = read_files(directory)
    if name is not None:
        return [check_file(find_file(files, name), form)]
    found = []
    for file in files:
        if file.questionnaire is None:  # it may be one of them
            found.append(Checked(file.path.stem, None, file.problems, is_valid=False))
        elif form.gets_results_of(file.questionnaire):
            found.append(check_file(file, form))
    return found


def read_files(directory: Path) -> list[File]:
    """All questionnaire files of a directory; none if it cannot be read."""
    catalog, problems = loader.examine(directory)
    found = {directory / f"{name}.toml": questionnaire for name, questionnaire in catalog}
    for path in (Path(problem.file) for problem in problems):
        if path.suffix == ".toml" and os.path.lexists(path):
            found.setdefault(path, None)
    return [
        File(path, questionnaire, [each for each in problems if is_about(each, path)])
        for path, questionnaire in found.items()
    ]


def is_about(problem: Problem, path: Path) -> bool:
    """Whether a problem is a file's own, or its conflict with another one."""
    is_first = problem.file.startswith(f"{path} and ")
    return is_first or problem.file == str(path) or problem.file.endswith(f" and {path.name}")


def find_file(files: Collection[File], name: str) -> File:
    """The file of a questionnaire with questions, without errors but those of its results."""
    found = next((file for file in files if file.path.stem == name), None)
    if found:
        found.raise_other_errors()
    if found is None or found.questionnaire.is_counter:
        readable = [file for file in files if file.questionnaire]
        names = ", ".join(each.path.stem for each in readable if not each.questionnaire.is_counter)
        sentence = f"--for: {name} is no questionnaire with questions."
        cure = f"Name one: {names}." if names else "Add one to SMSCONVO_QUESTIONNAIRES."
        raise SettingsError(f"{sentence} {cure}")
    return found


def check_file(file: File, form: NamedForm) -> Checked:
    """Check what the file maps if that is this form, or else what is proposed."""
    file.raise_other_errors()
    link = read_prefilled(form.link, form.page, file.questionnaire)
    if form.gets_results_of(file.questionnaire) and not link.entries:
        problems = [*link.problems, *file.problems_of_results]
        return compare(Checked(file.path.stem, file.questionnaire, problems), form)
    results = propose(form.page, file.questionnaire, form.url, link.entries)
    proposal = render(results, form.page, link.entries)
    questionnaire, problems = loader.read_file(file.path, tomllib.loads(proposal)["results"])
    if questionnaire is None:  # somebody edits it
        raise InvalidQuestionnaire(*(f"{file.path}: {problem}" for problem in problems))
    replaces = file.questionnaire.results is not None or bool(file.problems_of_results)
    found = [problem for problem in problems if problem.is_error or problem.part == "results"]
    checked = Checked(file.path.stem, questionnaire, [*link.problems, *found], proposal, replaces)
    return compare(checked, form)


def compare(checked: Checked, form: NamedForm) -> Checked:
    """With what the form would not take; what `check` refuses is corrected before that."""
    results = checked.questionnaire.results
    is_valid = not any(each.is_error for each in checked.problems if each.part != "link")
    problems = form.problems
    if form.page and is_valid and results.format == "form":
        problems = find_problems(form.page, checked.questionnaire)
    problems = list(dict.fromkeys([*checked.problems, *problems]))
    return checked._replace(problems=problems, is_valid=is_valid)
