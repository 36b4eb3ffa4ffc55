"""The names of what a Google Form reads of a POST: it drops every other field."""

import re

EMAIL = "emailAddress"  # the address that a form collects itself
OTHER = "__other_option__"  # the value for what is no option; its text has a field of its own
OTHER_TEXT = ".other_option_response"
ENTRY = re.compile(r"entry\.[0-9]+")
PART = rf"_(?:year|month|day|hour|minute|second)|{re.escape(OTHER_TEXT)}"
# With the entry that it is, or belongs to, or none.
FIELD = re.compile(rf"(?P<entry>{ENTRY.pattern})(?:{PART})?|{EMAIL}")
OF_PAGE = ("fvv", "pageHistory")  # what its own page adds


def entry_of(name: str) -> str:
    """The entry that a field belongs to, or ""."""
    match = FIELD.fullmatch(name)
    return (match and match["entry"]) or ""
