"""The operator's files, as they were when they were last right, while somebody edits them."""

import hashlib
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import NamedTuple

from logs import error_location
from models import InvalidQuestionnaire
from models.questionnaire.examination import Examination
from models.questionnaire.loader import find_files
from models.questionnaire.problem import Problem
from resources import Files, open_people, read_files, with_results_to
from settings import Settings, SettingsError
from toml_file import read_bytes

MAX_PROBLEMS = 20  # in the log and in /healthz; `check` shows all


class Edit(NamedTuple):
    """An edit of the files: what it changed, or why it is not taken."""

    changes: list[str]
    problems: list[str]


class WatchedFiles:
    """The questionnaires and the people in use, which follow each edit that `check` accepts.

    A process that begins later gets those of its parent, by fork or pickle. So it begins with the
    files as they were last right, whatever they say by then.
    """

    def __init__(self, settings: Settings) -> None:
        """Read the files; InvalidQuestionnaire names all that is wrong with them."""
        self._settings = settings
        self._seen = self._examined = _of_each(settings, _stat)
        # A digest of what was examined last. Set after `current`, and pickled before it: what is
        # copied in between is examined again.
        self.content = _digest_all(settings)
        files, self.problems = read_files(settings)
        if files is None:
            raise InvalidQuestionnaire(*self.problems)
        self._examination: tuple[object, Examination] | None = None
        self.current = files  # replaced as a whole, so that a turn sees one state of the files

    def look(self, at_once: bool = False) -> Edit | None:
        """Take what has changed, if it is right; what there is to say about it.

        Editors write in steps. So nothing is read before it has stayed the same from one look to
        the next, unless it is to be read `at_once`.
        """
        state = _of_each(self._settings, _stat)
        is_settled, self._seen = state == self._seen, state
        if not at_once and (state == self._examined or not is_settled):
            return None
        self._examined = state if is_settled else None  # if not, once more when it is
        return self._examine(state)

    def follow(self, content: bytes) -> Edit | None:
        """Do what a process did that has examined `content`; look for nothing else.

        While the files hold something else, nothing happens. Only a process that answers texts does
        this, and it is prepared for them before it uses an edit.
        """
        if content == self.content:
            return None
        return self._examine(_of_each(self._settings, _stat), content)

    def examine(self, today: date) -> Examination:
        """What `check` says of the files as they were examined last.

        It takes a while, and is therefore kept until they change, or the day.
        """
        if self._examination is None or self._examination[0] != (self.content, today):
            self._examination = (self.content, today), self._examine_all(today)
        return self._examination[1]

    def _examine_all(self, today: date) -> Examination:
        settings = self._settings
        names, problems = set(self.current.people.values()), []
        try:
            names = set(open_people(settings).values())
        except SettingsError as error:
            problems.append(Problem("", str(error)))
        found = Examination.of(settings.questionnaires, settings.people, names, today)
        catalog = with_results_to(found.catalog, settings)
        return found._replace(catalog=catalog, problems=problems + found.problems)

    def _examine(self, state: tuple[object, ...], wanted: bytes | None = None) -> Edit | None:
        files, problems = self._read(answers_texts=wanted is not None)
        content = _digest_all(self._settings)
        if _of_each(self._settings, _stat) != state or wanted not in (None, content):
            return None  # somebody is writing
        edit = self._take(files) if files else self._refuse(problems, content)
        self.content = content
        return edit

    def _read(self, answers_texts: bool) -> tuple[Files | None, list[str]]:
        try:
            files, problems = read_files(self._settings)
            if files and answers_texts:
                files.catalog.prepare()  # which takes a while: here no text waits for it
        except Exception as error:  # whatever is in a file, those in use stay in use
            files, problems = None, [f"The files cannot be read: {error_location(error)}. Undo it."]
        if len(problems) > MAX_PROBLEMS:
            more = f"There are {len(problems) - MAX_PROBLEMS} more problems. Run `check`."
            problems = [*problems[:MAX_PROBLEMS], more]
        return files, [_printable(problem) for problem in problems]

    def _take(self, files: Files) -> Edit | None:
        changes = list(_find_changes(self.current, files, self._settings.people.name))
        was_refused = bool(self.problems)
        self.current, self.problems = files, []
        return Edit(changes, []) if changes or was_refused else None

    def _refuse(self, problems: list[str], content: bytes) -> Edit | None:
        self.problems = problems
        return Edit([], problems) if content != self.content else None


def _of_each(settings: Settings, read: Callable[[Path], object]) -> tuple[object, ...]:
    """What `read` finds at each file, or the number of the error that keeps it from that."""
    try:
        paths = find_files(settings.questionnaires)
    except OSError as error:
        return error.errno, _attempt(read, settings.people)
    return tuple((str(path), _attempt(read, path)) for path in (*paths, settings.people))


def _attempt(read: Callable[[Path], object], path: Path) -> object:
    try:
        return read(path)
    except OSError as error:
        return error.errno


def _stat(path: Path) -> tuple[int, ...]:
    """What differs once a file was written or replaced; programs may set mtime, but not ctime."""
    found = path.stat()
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def _digest(path: Path) -> bytes:
    return hashlib.sha256(read_bytes(path)).digest()


def _digest_all(settings: Settings) -> bytes:
    """What differs when any file holds something else, or can be read no more."""
    return hashlib.sha256(repr(_of_each(settings, _digest)).encode("utf-8", "replace")).digest()


def _find_changes(before: Files, after: Files, people: str) -> Iterator[str]:
    """A phrase for each file that says something else than before."""
    old, new = dict(before.catalog), dict(after.catalog)
    for name in sorted(old.keys() | new.keys()):
        if old.get(name) != new.get(name):
            verb = "added" if name not in old else "changed" if name in new else "removed"
            yield f"{name}.toml {verb}"
    if before.people != after.people:
        yield f"{people} changed"


def _printable(text: str) -> str:
    """The text without what a file's name can have and JSON cannot."""
    return text.encode("utf-8", "replace").decode()
