"""The kinds of answers: the registry of them, and what the program asks of a question's kind."""

from importlib import import_module
from itertools import chain
from typing import Any

from models.questionnaire.answers.choice import SEPARATOR
from models.questionnaire.answers.kind import Kind, Options, ParseContext

__all__ = ["KINDS", "SEPARATOR", "Kind", "ParseContext"]

# A kind is a module of this name, which defines `KIND`. To add one, write the module and a line
# here. The order is that of the fields of Question and Messages, which digests depend on.
KINDS: dict[str, Kind] = {
    name: import_module(f"{__name__}.{name}").KIND
    for name in (
        "text",
        "yes_no",
        "choice",
        "number",
        "date",
        "email",
        "phone",
        "photo",
    )
}


def says_yes(text: str, context: ParseContext) -> bool:
    """Whether a text is a yes, in the questionnaire's own words if it has some."""
    return KINDS["yes_no"].read(None, text, context) == "yes"


def retry_name(question: Options) -> str:
    """The name in [say] of the reply to what is no answer to a question."""
    return KINDS[question.kind].retry_name(question)


def retry_prompts() -> dict[str, tuple[str, Kind]]:
    """Those replies by name, each with its default and the kind that it belongs to."""
    return {
        name: (prompt, kind)
        for own_name, kind in KINDS.items()
        for name, prompt in ({own_name: kind.retry} | kind.more_retries).items()
    }


def option_fields() -> list[tuple[str, Any, Any]]:
    """Name, type and default of each option that a kind has, for the struct of a question."""
    fields: dict[str, tuple[str, Any, Any]] = {}
    for field in chain.from_iterable(kind.option_fields() for kind in KINDS.values()):
        if fields.setdefault(field[0], field) != field:
            raise TypeError(f"Two kinds have an option {field[0]} with another type or default.")
    return list(fields.values())


def accepts_any_text(question: Options) -> bool:
    """Whether there is no text that is not an answer, so that nothing is ever asked again."""
    kind = KINDS[question.kind]
    return kind.is_free_text and all(
        getattr(question, name) == default for name, _, default in kind.option_fields()
    )


def kinds_with(option: str) -> list[str]:
    """The names of the kinds that have this option."""
    return [
        name
        for name, kind in KINDS.items()
        if option in (field_name for field_name, *_ in kind.option_fields())
    ]


def documentation_table() -> str:
    """The table of kinds in docs/questionnaires.md."""
    lines = ["| kind | what is read, and what is kept of it | its own lines |", "|---|---|---|"]
    for name, kind in KINDS.items():
        options = ", ".join(f"`{option}`" for option, *_ in kind.option_fields())
        lines.append(f"| `{name}` | {kind.documentation} | {options or 'none'} |")
    return "\n".join(lines)
