"""The rows that a scenario left, without what follows from its steps."""

import json
import re
from collections.abc import Iterator
from datetime import datetime
from math import inf
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from corpus.runner import Run

TABLES = ("contacts", "questionnaires", "conversations", "messages", "answers", "outbox")
COOKIE = "conversation={}; HttpOnly; Max-Age=14400; Path=/"
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z")


def decoded(name: str, text: str) -> dict:
    """Decoded; and as it is, too, where that is not the shortest JSON for it."""
    value = json.loads(text)
    is_short = text == json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return {name: value} if is_short else {name: value, f"{name}_text": text}


def differing(row: dict, usual: dict) -> dict:
    """The columns of a row that are not as usual. A column that `usual` leaves out is null."""
    return {
        name: value
        for name, value in sorted(row.items())
        if value != usual.get(name) or type(value) is not type(usual.get(name))
    }


class Rows:
    """Describes rows with times since the start, ids from 1, and labels for random values.

    What is unusual in the row of a text is added to its step.
    """

    def __init__(self, run: "Run") -> None:
        self.run, runner = run, run.runner
        self.before = run.before
        self.names = runner.version_names()
        self.tables = {name: runner.rows(name, self.before[name]) for name in TABLES}
        self.tokens = {row["token"]: self.id(row) for row in self.tables["conversations"]}
        results = enumerate(self.tables["outbox"], 1)
        self.webhooks = {row["webhook_id"]: f"result {place}" for place, row in results}
        definitions = {
            row["id"]: json.loads(row["definition"]) for row in runner.rows("questionnaires")
        }
        self.results = {
            row["id"]: {"format": "form"} | definitions[row["questionnaire_id"]].get("results", {})
            for row in self.tables["conversations"]
        }

    def id(self, row: dict, column: str = "id", table: str = "conversations") -> int | None:
        return None if row[column] is None else row[column] - self.before[table]

    def since(self, value: str | None) -> float | None:
        """Seconds; or the value itself, where it is not written as a time should be."""
        if value is None:
            return None
        moment = datetime.fromisoformat(value)
        if value != written(moment):
            return value
        seconds = (moment - self.run.start).total_seconds()
        return int(seconds) if seconds.is_integer() else seconds

    def lines(self) -> Iterator[dict]:
        extra = list(self._describe_messages())
        yield from map(self._contact, self.tables["contacts"])
        for row in self.tables["conversations"]:
            yield self._conversation(row)
            yield from map(self._answer, self._answers_of(row["id"]))
        yield from map(self._result, self.tables["outbox"])
        yield from ({"extra": row} for row in extra)

    def _answers_of(self, id: int) -> list[dict]:
        return [row for row in self.tables["answers"] if row["conversation_id"] == id]

    def _contact(self, row: dict) -> dict:
        usual = {"id": row["id"], "phone": row["phone"]}
        row = row | {"opted_out_at": self.since(row["opted_out_at"])}
        return {"contact": row["phone"]} | differing(row, usual)

    def _conversation(self, row: dict) -> dict:
        times = ("started_at", "active_at", "expires_at", "ended_at")
        row = row | {name: self.since(row[name]) for name in times}
        usual = dict(zip(("sender", "number"), self.run.usual_pair, strict=True))
        usual |= {"id": row["id"], "questionnaire_id": row["questionnaire_id"], "unread": 0}
        if re.fullmatch("[0-9a-f]{32}", row["token"]):
            usual["token"] = row["token"]
        if row["asking"]:
            usual["asked"] = self._asked_before(row["id"], inf)
        of = self.names[row["questionnaire_id"]]
        return {"conversation": self.id(row), "of": of} | differing(row, usual)

    def _answer(self, row: dict) -> dict:
        by = self.by_id.get(row["message_id"], {})
        usual = {"id": row["id"], "conversation_id": row["conversation_id"], "key": row["key"]}
        usual |= {
            "text": by.get("body"),
            "answered_at": by.get("created_at"),
            "value": row["value"],
        }
        usual |= {"message_id": row["message_id"], "question": None}
        usual["question"] = self._asked_before(row["conversation_id"], row["message_id"])
        line = {
            "answer": row["key"],
            "value": row["value"],
            "by": self.steps.get(row["message_id"]),
        }
        return line | differing(row, usual)

    def _asked_before(self, conversation_id: int, id: float) -> str | None:
        """The question of a conversation before a message, as far as replies tell."""
        asked = [
            row["body"]
            for row in self.tables["messages"]
            if row["conversation_id"] == conversation_id
            and row["direction"] == "outbound"
            and row["id"] < id
            and self.by_id[row["reply_to_id"]]["read_as"] not in ("unread", "resumed")
        ]
        return asked[-1] if asked else None

    def _result(self, row: dict) -> dict:
        times = ("next_attempt_at", "created_at", "leased_until", "delivered_at")
        row = row | {name: self.since(row[name]) for name in times}
        payload = decoded("payload", self._labelled(row.pop("payload")))
        usual = {"id": row["id"], "conversation_id": row["conversation_id"], "state": "pending"}
        usual |= dict.fromkeys(("attempts", "unfinished", "unconfirmed"), 0)
        usual |= {"next_attempt_at": row["created_at"]}
        usual |= self.results[row["conversation_id"]]
        if re.fullmatch("msg_[0-9a-f]{32}", row["webhook_id"]):
            usual["webhook_id"] = row["webhook_id"]
        return {"result": self.id(row, "conversation_id")} | differing(row, usual) | payload

    def _labelled(self, payload: str) -> str:
        """The payload with times since the start, and labels for ids."""
        for webhook_id, label in self.webhooks.items():
            payload = payload.replace(webhook_id, label)
        id = re.compile(r'(?<="data":\{"conversation":)\d+')
        first = self.before["conversations"]
        payload = id.sub(lambda found: str(int(found[0]) - first), payload, count=1)
        return TIME.sub(self._label_of_time, payload)

    def _label_of_time(self, found: re.Match) -> str:
        seconds = (datetime.fromisoformat(found[0]) - self.run.start).total_seconds()
        return f"+{seconds:g} s"

    def _describe_messages(self) -> Iterator[dict]:
        """Add to each step what is unusual in its rows. Yields the rows of no step."""
        messages = self.tables["messages"]
        self.by_id = {row["id"]: row for row in messages}
        inbound = {row["sid"]: row for row in messages if row["direction"] == "inbound"}
        replies = {row["reply_to_id"]: row for row in messages if row["reply_to_id"]}
        self.steps: dict[int, int] = {}
        next_id = self.before["messages"] + 1
        for place, step in enumerate(self.run.steps):
            sent = self.run.sent.get(place)
            if sent is None or "repeat" in step:
                self._describe_repeat(step, sent)
                continue
            row = inbound.pop(sent["form"].get("MessageSid"), None)
            reply = replies.pop(row["id"], None) if row else None
            if row:
                self.steps[row["id"]] = place
                self._describe_inbound(step, sent, row, next_id)
                next_id += 1
            if reply:
                self._describe_outbound(place, step, sent, row, reply, next_id)
                next_id += 1
            self._describe_cookie(step, sent, row)
        yield from (*inbound.values(), *replies.values())

    def _describe_repeat(self, step: dict, sent: dict | None) -> None:
        if sent is not None:
            sid = sent["form"]["MessageSid"]
            rows = self.tables["messages"]
            self._describe_cookie(
                step, sent, next((row for row in rows if row["sid"] == sid), None)
            )

    def _describe_inbound(self, step: dict, sent: dict, row: dict, next_id: int) -> None:
        form = sent["form"]
        media = [form[name] for name in form if name.startswith("MediaUrl")]
        usual = {"id": next_id, "direction": "inbound", "sid": form["MessageSid"]}
        usual |= {"sender": form["From"], "recipient": form["To"], "body": form.get("Body", "")}
        usual |= {"status": form.get("SmsStatus"), "media": " ".join(media) or None}
        usual |= {"params": json.dumps(form, ensure_ascii=False, separators=(",", ":"))}
        usual |= {"cookie": "matched" if sent["cookie"] else "none", "read_as": "answer"}
        usual |= {"conversation_id": 1, "created_at": written(sent["now"])}
        row = row | {"conversation_id": self.id(row, "conversation_id")}
        unusual = differing(row, usual)
        step |= {name: unusual.pop(column) for column, name in SHORT.items() if column in unusual}
        if unusual:
            step["inbound"] = unusual

    def _describe_outbound(
        self, place: int, step: dict, sent: dict, row: dict, reply: dict, next_id: int
    ) -> None:
        usual = {"id": next_id, "conversation_id": row["conversation_id"], "direction": "outbound"}
        usual |= {"sender": row["recipient"], "recipient": row["sender"], "reply_to_id": row["id"]}
        usual |= {"created_at": row["created_at"], "body": step.get("reply")}
        if re.fullmatch("[0-9a-f]{32}", reply["status_token"] or ""):
            usual["status_token"] = reply["status_token"]
        if reply["sid"] and reply["sid"][3:] == row["sid"][3:]:
            reply = reply | {"sid": reply["sid"][:3]}  # the rest is that of its text
        if unusual := differing(reply, usual):
            step["outbound"] = unusual
        query = f"message={reply['id']}&token={reply['status_token']}"
        callback = f"{self.run.sent[place]['status_url']}?{query}"
        if sent.get("callback") not in (None, callback):
            step["callback"] = sent["callback"]

    def _describe_cookie(self, step: dict, sent: dict, row: dict | None) -> None:
        """Note a cookie that is not that of the conversation of the text."""
        conversation = row and self.id(row, "conversation_id")
        given = sent["given"]
        token = next((token for token in self.tokens if given and token in given), None)
        usual = COOKIE.format(token) + (
            "; Secure" if sent["status_url"].startswith("https:") else ""
        )
        if self.tokens.get(token) != conversation:
            step["given"] = self.tokens.get(token)
        if given not in (None, usual):
            step["cookie_given"] = given.replace(token or "", "TOKEN")


SHORT = {"conversation_id": "in", "read_as": "read", "cookie": "cookie_was"}


def written(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
