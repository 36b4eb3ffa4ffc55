"""What surrounds every route: errors become answers, and the console is for operators only."""

from collections.abc import Callable
from typing import Any

from bottle import HTTPError, HTTPResponse, request, response
from sqlalchemy.exc import DBAPIError

from console.access import SAFE_METHODS, Cookie, Refused
from console.pages import CONSOLE, HEADERS, SHARED, SHARED_HEADERS
from gateway.webhook import RequestRejected
from logs import error_location
from models.acts.act import CannotAct
from models.console import DO
from models.reports.context import NotFound, OddFilter
from storage.database import ReportsBusy
from storage.unreadable import UnreadableRow

ANYONE = "anyone"  # may use a route of the console to sign in; LOOK and DO are the roles
BUSY = "Others are at work just now. Try again in some seconds. Texts do not wait."


def refuse_odd_path() -> None:
    """Refuse a path that is not UTF-8. Bottle drops such bytes, and would serve another address.

    So a proxy that keeps /console to some addresses would let /con%ffsole through.
    """
    try:
        request.environ["bottle.raw_path"].encode("latin1").decode()
    except UnicodeError:
        raise LoggedError(404, "the path is not UTF-8") from None


def add_headers() -> None:
    """Give an answer what it has besides, by the path of its request."""
    path = request.path
    if path.startswith(SHARED):
        response.headers.update(SHARED_HEADERS)
    elif path == "/" or path.startswith(CONSOLE):
        response.headers.update(HEADERS)


class LoggedError(HTTPError):
    """An error whose reason is for the log, and whose advice is for an operator.

    They must hold nothing that a stranger sent.
    """

    def __init__(self, status: int, reason: str, advice: str = "") -> None:
        super().__init__(status)
        self.reason, self.advice = reason, advice


def errors_as_5xx(route: Callable) -> Callable:
    """Any doubt is a 5xx, and no exception's own words reach the log: they may quote a text."""

    def guarded(*args, **kwargs):
        try:
            return route(*args, **kwargs)
        except HTTPResponse:
            raise
        except Refused as error:
            refusal = LoggedError(error.status, error.reason, error.advice)
            if error.retry_after:
                refusal.set_header("Retry-After", error.retry_after)
            raise refusal from None
        except RequestRejected as error:
            raise LoggedError(error.status, error.reason) from None
        except NotFound:
            raise LoggedError(404, "there is no such row or file") from None
        except OddFilter as error:
            raise LoggedError(400, "a filter makes no sense", str(error)) from None
        except CannotAct as error:
            raise LoggedError(409, "an act does not fit any more", str(error)) from None
        except UnreadableRow as error:
            request.app.database.unreadable.add(error)
            raise LoggedError(500, f"{error}, so this row cannot be read") from None
        except ReportsBusy:
            raise LoggedError(503, "as many pages as may be are being read", BUSY) from None
        except (DBAPIError, OSError) as error:
            reason = f"the database did not answer: {error_location(error)}"
            raise LoggedError(503, reason) from None
        except Exception as error:
            raise LoggedError(500, error_location(error)) from None

    return guarded


class ConsoleGuard:
    """A plugin of Bottle's that lets nobody into the console who may not be there.

    A route for operators gets the Operator. One that does not say for whom it is, is for those
    with the role to act.
    """

    name, api = "console", 2

    def apply(self, callback: Callable, route: Any) -> Callable:
        if not route.rule.startswith(CONSOLE):
            return callback
        role = route.config.get("role", DO)

        def guarded(**values: Any) -> Any:
            access, is_safe = request.app.access, request.method in SAFE_METHODS
            if not is_safe:
                access.check_origin(request.environ)
            if role == ANYONE:
                return callback(**values)
            operator = access.find_operator(request.environ)
            if operator is None and is_safe:
                return see_other("/console/sign-in")
            access.check_role(operator, role)
            return callback(operator, **values)

        return guarded


def see_other(path: str, cookie: Cookie | None = None) -> HTTPResponse:
    """A redirect to a page. Bottle's own would read Host and X-Forwarded-Host."""
    access = request.app.access
    answer = HTTPResponse(status=303, Location=access.root + path)
    if cookie:
        options = access.cookie_options(cookie)
        answer.set_cookie(cookie.name, cookie.value, **options)
    return answer
