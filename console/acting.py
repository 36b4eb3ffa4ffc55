"""Does what operators ask for, in one transaction or, where that would be long, in several."""

import time
from collections.abc import Callable
from typing import NamedTuple

from sqlalchemy.orm import Session

from models.acts.act import Act, Rest
from storage import Database

MAX_SECONDS = 5  # of a request; what is left then is done when the operator asks again


class Acted(NamedTuple):
    """What was done, and whether something of it is left."""

    act: Act
    is_partial: bool


def carry_out(database: Database, find: Callable[[Session], Act]) -> Acted:
    """Do an act, which is found in the transaction that does it, or as much as there is time for.

    Whoever releases a lock and takes it again at once overtakes those that wait for it, so there
    is a pause after each part, as long as that took.
    """

    def begin(db: Session) -> tuple[Act, object]:
        act = find(db)
        return act, act.do(db)

    deadline = time.monotonic() + MAX_SECONDS
    act, rest = database.write(begin)
    while isinstance(rest, Rest) and time.monotonic() < deadline:
        began = time.monotonic()
        rest = database.write(rest.do)
        time.sleep(time.monotonic() - began)
    return Acted(act, isinstance(rest, Rest))
