"""What works and what does not: for `/healthz`, and for the console."""

import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime
from platform import python_version
from typing import NamedTuple

from logs import dropped_lines
from models import ReceiverForm
from models.receiver_form import group_by_form
from models.reports.now import find_last_text_at
from models.trial import try_recording
from models.undelivered import Undelivered
from reloading import WatchedFiles
from settings import Settings, __version__
from shared_counts import SIGNATURE, SharedCounts
from storage import Database, describe
from storage.probe import Probe
from storage.sqlite_connection import sqlite3
from storage.unreadable import UnreadableRow
from storage.versions import SELECT_VERSION, known_versions
from worker.wal import LARGE_WAL, is_wal_large

# Without these texts get a 503, or may soon; nothing else is a reason to keep texts away from us.
ESSENTIAL = {"database", "migration", "disk"}
BROKEN_DATABASE = "The disk failed, or the files are damaged or were taken away. The log says more."
WRONG_VERSION = "The database and this program are not of the same version."
UNKNOWN_VERSION = "The version cannot be read while the database cannot be used."
LITTLE_ROOM = "The disk is nearly full, and texts that find no room get a 503. Make room."
FAILED_RESULTS = "Results have failed, and stay until you retry them."
UNCONFIRMED_RESULTS = (
    "Nobody knows whether some results have arrived. Look for them at the receiver, then confirm or"
    " retry them."
)
CHANGED_FORMS = "A Google Form that gets results has changed, or would not record what is sent."
FILE_PROBLEMS = "The files have mistakes, so those from before are in use."
UNREADABLE_ROWS = "Rows cannot be read. Until you correct them, {}."
UNANSWERED = "their senders are not answered"
HARMS = {  # of rows that keep no sender from an answer, by their table
    "outbox": "their results are not delivered",
    "receiver_forms": "their forms are not looked at",
    "console_sessions": "some cannot use the console",
    "console_links": "some cannot use the console",
    "console_passwords": "some cannot use the console",
    "sign_in_attempts": "some cannot use the console",
    "operator_actions": "some cannot use the console",
    "console_shares": "links to their results show nothing",
    "test_conversations": "some tests are counted",
    "contact_notes": "notes on people are not shown",
}
DROPPED_LINES = "Nobody takes the log, or there is no room for it, so lines were dropped."
STALLED_WORKER = (
    "The worker has stopped, so no result is sent, and silence ends nothing. Restart serve."
)

COMMANDS = {  # that help with a part, for those who read /healthz
    "migration": "upgrade --help",
    "outbox": "outbox --help",
    "forms": "outbox",
    "questionnaires": "check --help",
}
DAY = 86400  # seconds
MAX_WORKER_AGE = 300  # seconds; it looks once a second, and may wait for a database
MAX_ROWS = 20  # that cannot be read are named in /healthz
MIN_FREE_DISK = 64 * 1024 * 1024  # bytes; the log of SQLite may need as much


class DatabaseState(NamedTuple):
    """What `/healthz` reads: its version, what it owes, and whose forms need a look."""

    version: str | None = None
    undelivered: Undelivered = Undelivered()
    forms: Sequence[str] = ()  # names of questionnaires


class HealthReport(NamedTuple):
    """What the console shows: the checks of `/healthz`, and what helps to understand them."""

    checks: dict[str, dict]
    last_text_at: datetime | None
    refused: list[tuple[str, int]]  # requests of the last day, by reason
    since_start: str  # of this server, in words, if that was less than a day ago
    versions: dict[str, str]
    settings: dict[str, str]

    @property
    def status(self) -> str:
        """That of `/healthz`."""
        return status_of(self.checks)

    @property
    def has_wrong_signature(self) -> bool:
        """Whether that is among the reasons: it may be a wrong setting."""
        return SIGNATURE in dict(self.refused)


class Health:
    """What each part of smsconvo is like."""

    def __init__(
        self,
        database: Database,
        files: WatchedFiles,
        counts: SharedCounts,
        clock: Callable[[], datetime],
    ) -> None:
        self._database, self._files, self._clock = database, files, clock
        self._counts = counts
        self._needed_version = known_versions()[-1]
        self._read_probe = Probe(self._read_state)
        self._write_probe = Probe(lambda: try_recording(database, clock()))

    def checks(self) -> dict[str, dict]:
        """Each part: whether it is `ok`, else `why` not and what helps, and what is known of it."""
        return {name: advise(name, check) for name, check in self._find_checks().items()}

    def _find_checks(self) -> dict[str, dict]:
        """The same without commands, for whoever reads them in a browser."""
        (version, undelivered, forms), trouble = self._probe_database()
        needed, local = self._needed_version, self.local_checks()
        wrong_version = UNKNOWN_VERSION if trouble and version is None else WRONG_VERSION
        return {
            "database": check(not trouble, trouble),
            "migration": check(version == needed, wrong_version, found=version, needed=needed),
            "disk": local.pop("disk"),
            "wal": local.pop("wal"),
            "outbox": check_outbox(undelivered),
            "forms": check(not forms, CHANGED_FORMS, questionnaires=forms),
        } | local

    def local_checks(self) -> dict[str, dict]:
        """Those parts that are known without asking the database anything."""
        free, wal = measure(self._database.free_space), measure(self._database.wal_size)
        dropped, problems = dropped_lines.count, self._files.problems
        return {
            "disk": check(free is None or free >= MIN_FREE_DISK, LITTLE_ROOM, free_bytes=free),
            "wal": check(not is_wal_large(wal), LARGE_WAL, bytes=wal),
            "rows": check_rows(list(self._database.unreadable)),
            "questionnaires": check(not problems, FILE_PROBLEMS, problems=problems),
            "log": check(not dropped, DROPPED_LINES, dropped_lines=dropped),
            "worker": check_worker(self._counts.last_beat),
        }

    def report(self, settings: Settings) -> HealthReport:
        """The checks, with the last text, the versions, and the settings without secrets."""
        checks = self._find_checks()
        with self._database.read() as db:
            last_text_at = find_last_text_at(db)
        refused = sort_refused(self._counts.refused_lately())
        is_new = time.time() - self._counts.started_at < DAY
        since = ", since smsconvo was started" if is_new else ""
        facts = versions(settings), describe_settings(settings)
        return HealthReport(checks, last_text_at, refused, since, *facts)

    def _probe_database(self) -> tuple[DatabaseState, str]:
        """What is in it, and why no text can be recorded in it, or ""."""
        state, trouble = DatabaseState(), ""
        try:
            self._write_probe.start()  # beside the other, so that both together take no longer
            state = self._read_probe.result()
            self._write_probe.result()
        except Exception as error:
            trouble = f"No text can be recorded: {describe(error)}."
        return state, BROKEN_DATABASE if self._database.broken.is_set() else trouble

    def _read_state(self) -> DatabaseState:
        now, forms = self._clock(), group_by_form(self._files.current.catalog)
        with self._database.read() as db:
            version, undelivered = db.scalar(SELECT_VERSION), Undelivered.find(db, now)
            changed = ReceiverForm.find_changed_urls(db, forms)
        names = sorted(name for url in changed for name, _ in forms[url])
        return DatabaseState(version, undelivered, names)


def status_of(checks: dict[str, dict]) -> str:
    """`ok`; `degraded` where something needs the operator; `failing` where texts get a 503."""
    wrong = {name for name, check in checks.items() if not check["ok"]}
    return "failing" if wrong & ESSENTIAL else "degraded" if wrong else "ok"


def check_outbox(undelivered: Undelivered) -> dict[str, object]:
    """Whether results wait for the operator, and for what."""
    reasons = [FAILED_RESULTS] * bool(undelivered.failed)
    reasons += [UNCONFIRMED_RESULTS] * bool(undelivered.unconfirmed)
    return check(not reasons, " ".join(reasons), **undelivered.summary())


def check(ok: bool, why: str, **facts: object) -> dict[str, object]:
    """A part of what `/healthz` shows: whether it is right, else why not, and what is known."""
    return {"ok": ok} | ({} if ok else {"why": why}) | facts


def advise(name: str, check: dict) -> dict:
    """A part with the command that helps, where something is wrong."""
    if check["ok"] or name not in COMMANDS or check["why"] == UNKNOWN_VERSION:
        return check
    return check | {"why": f"{check['why']} See: {COMMANDS[name]}"}


def check_worker(last_beat: int | None) -> dict[str, object]:
    """Whether a worker of this server looked for work lately; one that serves no texts has none."""
    age = None if last_beat is None else max(int(time.time()) - last_beat, 0)
    is_alive = age is None or age < MAX_WORKER_AGE
    return check(is_alive, STALLED_WORKER, last_run_seconds_ago=age)


def sort_refused(counts: Counter[str]) -> list[tuple[str, int]]:
    """Reasons and their counts, the most frequent first, but for what may be a wrong setting."""
    return sorted(
        ((reason, count) for reason, count in counts.items() if count),
        key=lambda refused: (refused[0] != SIGNATURE, -refused[1], refused[0]),
    )


def check_rows(rows: list[UnreadableRow]) -> dict[str, object]:
    """Which rows cannot be read, and whom that harms."""
    found = {HARMS.get(row.table, UNANSWERED) for row in rows}
    harms = [harm for harm in dict.fromkeys((UNANSWERED, *HARMS.values())) if harm in found]
    why = UNREADABLE_ROWS.format(" and ".join(harms))
    return check(not rows, why, unreadable=list(map(str, rows[:MAX_ROWS])), count=len(rows))


def versions(settings: Settings) -> dict[str, str]:
    """Of the program, and of what it runs on."""
    database = {"SQLite": sqlite3.sqlite_version} if settings.on_sqlite else {}
    return {"smsconvo": __version__, "Python": python_version()} | database


def describe_settings(settings: Settings) -> dict[str, str]:
    """What is set, in words without secrets: a URL of a database may hold a password."""
    return {
        "Public URL": settings.public_url,
        "Database": settings.database_url if settings.on_sqlite else "PostgreSQL",
        "Listens on": "{}:{}".format(*settings.listen),
        "Questionnaires": str(settings.questionnaires),
        "People": str(settings.people),
        "Account": settings.account_sid,
        "Auth tokens": str(len(settings.auth_tokens)),
        "JSON results": "signed" if settings.webhook_secrets else "not signed",
        "Results to private addresses": "yes" if settings.allow_private_receivers else "no",
        "All results to": "one URL, by --results-to"
        if settings.results_to
        else "as the questionnaires say",
        "Proxies of the console": ", ".join(map(str, settings.console_proxies)) or "none",
        "Header of the console": settings.console_user_header or "none",
        "Metrics": "behind a key" if settings.metrics_key else "off",
        "Processes": str(settings.processes),
    }


def measure(size: Callable[[], int | None]) -> int | None:
    with suppress(OSError):  # the directory may be gone
        return size()
