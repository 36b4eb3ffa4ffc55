"""The words for what is said in a conversation. What people texted is never read as a template."""

from typing import TYPE_CHECKING

from models.questionnaire import answers
from models.questionnaire.schema import PLACEHOLDER, Question
from models.text import LONGEST_REPLY

if TYPE_CHECKING:
    from models.conversation import Conversation

LONGEST_SHOWN = 40  # characters of an answer, where all are listed


def fill(conversation: "Conversation", template: str, **more: str) -> str:
    """The template with its placeholders filled; `more` are those that only some sentences have."""
    words = PLACEHOLDER.sub(lambda found: _word(conversation, found[1], more), template)
    return words[:LONGEST_REPLY]


def fill_with_answers(conversation: "Conversation", sentence: str) -> str:
    """A sentence that lists the answers, with these cut where it would be too long."""
    answered = conversation.answered
    last = str(len(answered))
    room = LONGEST_REPLY - len(fill(conversation, sentence, answers="", last=last))
    listed = ", ".join(
        f"{place} {_cut(_shown(conversation, question) or '-', LONGEST_SHOWN)}"
        for place, question in enumerate(answered, 1)
    )
    return fill(conversation, sentence, answers=_cut(listed, room), last=last)


def _word(conversation: "Conversation", name: str, more: dict[str, str]) -> str:
    match name:
        case "name":
            return conversation.contact.name or conversation.questionnaire.stranger
        case "from":
            return conversation.sender
        case "to":
            return conversation.number
        case "count":
            return str(conversation.message_count)
        case "event":
            return conversation.event
    if name in more:
        return more[name]
    return _shown(conversation, conversation.questionnaire.question(name))


def _shown(conversation: "Conversation", question: Question) -> str:
    """An answer in words, or nothing where none was given."""
    answer = conversation.answers.get(question.key)
    value = answer and answer.value
    return answers.show(question, value, conversation.questionnaire.say) if value else ""


def _cut(words: str, length: int) -> str:
    words = " ".join(words.split())
    return words if len(words) <= length else words[: length - 2].rstrip() + ".."
