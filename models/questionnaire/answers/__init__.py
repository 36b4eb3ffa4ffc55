"""The kinds of answers: a module for each, the registry, and what the program asks of a kind."""

from importlib import import_module
from typing import Any

from models.questionnaire.answers.kind import Kind, ParseContext

# A kind is a module of this name, which defines `KIND`. To add one, write the module and a line
# here. The order is that of the fields of Question and Sentences, which digests depend on.
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
        "location",
        "rating",
        "time",
    )
}


def says_yes(text: str, context: ParseContext) -> bool:
    """Whether a text is a yes, in the questionnaire's own words if it has some."""
    return KINDS["yes_no"].read(None, text, context).value == "yes"


def retry_prompts() -> dict[str, tuple[str, Kind]]:
    """What [say] can replace, by name: the reply to an unread text, and the kind of answer."""
    return {
        name: (prompt, kind)
        for own_name, kind in KINDS.items()
        for name, prompt in ({own_name: kind.retry} | kind.more_retries).items()
    }


def option_fields() -> list[tuple[str, Any, Any]]:
    """Name, type and default of each option that a kind has, for the struct of a question."""
    fields: dict[str, tuple[str, Any, Any]] = {}
    for kind in KINDS.values():
        for name in kind.option_names:
            field = (name, kind.options.__annotations__[name], getattr(kind.options, name))
            if fields.setdefault(name, field) != field:
                raise TypeError(f"Two kinds have an option {name} with another type or default.")
    return list(fields.values())


def documentation_table() -> str:
    """The table of kinds in docs/questionnaires.md."""
    lines = ["| kind | what is read, and what is kept of it | its own lines |", "|---|---|---|"]
    for name, kind in KINDS.items():
        options = ", ".join(f"`{option}`" for option in kind.option_names)
        lines.append(f"| `{name}` | {kind.documentation} | {options or 'none'} |")
    return "\n".join(lines)
