"""The order of the list of threads: the conversations of the newest messages.

The table of messages has that order already: an index of when a conversation was active would be
written by every text. So a filter looks at the threads of the newest messages, up to LOOKED, and
then at those before.
"""

from collections.abc import Iterator

import sqlalchemy as sa
from sqlalchemy.orm import Session

from models.message import DID_NOT_ARRIVE, Message
from models.reports.context import MAX_ID
from storage.base import Statement

CHUNK = 1000  # messages that are read at once
LOOKED = 10_000  # messages, whose threads a page looks at


class Walk:
    """The conversations of the newest messages before one, each with the newest of these.

    With `undelivered` those of replies that did not arrive.
    """

    def __init__(self, db: Session, before: int | None, undelivered: bool) -> None:
        self._db, self._statement = db, NOT_ARRIVED if undelivered else NEWEST
        self.last = MAX_ID if before is None else before
        self.is_cut = False  # whether there may be more, but enough were looked at

    def __iter__(self) -> Iterator[tuple[int, int]]:
        seen: set[int] = set()
        for _ in range(LOOKED // CHUNK):
            rows = self._statement.fetch_all(self._db, before=self.last, limit=CHUNK)
            for message, conversation in rows:
                self.last = message
                if conversation is not None and conversation not in seen:
                    seen.add(conversation)
                    yield conversation, message
            if len(rows) < CHUNK:
                return
        self.is_cut = True


# Built once: building a statement costs as much as running it.
MESSAGE = Message.__table__
# Without the type of the column, for what cannot be read must not end the walk.
RAW_CONVERSATION = sa.type_coerce(MESSAGE.c.conversation_id, sa.types.NullType())
RECENT = (
    sa.select(MESSAGE.c.id, RAW_CONVERSATION)
    .where(MESSAGE.c.id < sa.bindparam("before"))
    .order_by(MESSAGE.c.id.desc())
    .limit(sa.bindparam("limit"))
)
NEWEST = Statement(RECENT)
NOT_ARRIVED = Statement(RECENT.where(sa.text(DID_NOT_ARRIVE)))
