"""What the page that answers a POST shows: the form again, or that it has recorded the answer.

It never depends on the language of the page, nor on the names of its classes, which change.
"""

import re
from itertools import islice
from typing import Any
from urllib.parse import urljoin, urlsplit

from models.google_form.address import form_id, page_name
from models.google_form.fields import OF_PAGE
from models.google_form.markup import Document, read_document
from models.google_form.page import FormPage, find_data, has_items, read_form

# Of pages before 2021. There, a style sheet may have the name without any element that has it.
OLD_CONFIRMATION = "freebirdFormviewerViewResponseConfirmationMessage"

MAX_LINKS = 20  # to another response that are looked at; pages have one


class AnswerPage:
    """A page of Google Forms, as it came from the address `url`."""

    def __init__(self, html: str, url: str) -> None:
        self.url, self._html = url, html
        self.document: Document = read_document(html)
        data: Any = find_data(self.document.scripts)
        self.form: FormPage | None = read_form(data)
        # The data alone says little: pages that confirm an answer have it, too, without questions.
        self.shows_form = has_items(data) or any(
            name.startswith("entry.") for name in self.document.fields
        )

    @property
    def text(self) -> str:
        """What a reader sees of the page; where that is nothing, its source."""
        return self.document.text or self._html

    @property
    def asks_for_captcha(self) -> bool:
        """Whether only a person gets on from here."""
        is_marked = "g-recaptcha" in self.document.classes
        return is_marked or "data-sitekey" in self.document.data_names

    @property
    def can_be_sent(self) -> bool:
        """Whether there is what a page sends with its answers, as that of a closed form has not."""
        return not self.document.fields.isdisjoint(OF_PAGE)

    @property
    def names_form(self) -> bool:
        """Whether the page is about this form, and not any page of Google's."""
        return bool(form_id(self.url)) and form_id(self.url) in self._html

    def has_mark(self) -> bool:
        """Whether there is what only a page has that confirms an answer to this form."""
        is_old = OLD_CONFIRMATION in self.document.classes
        links = (link for link in self.document.links if "form_confirm" in link)
        return is_old or any(map(self._leads_to_another, islice(links, MAX_LINKS)))

    def says(self, confirmation: str) -> bool:
        """Whether whole paragraphs are this text, tags and whitespace aside.

        A part of a paragraph proves nothing, and neither does the title, which every page has:
        "Thanks" is also in "Thanks for your interest. This form is closed."
        """
        wanted = squash(confirmation)
        if not wanted or wanted == squash(self.document.title):
            return False
        if self.form and wanted == squash(self.form.title):
            return False
        return is_run(wanted, [squash(paragraph) for paragraph in self.document.paragraphs])

    def _leads_to_another(self, link: str) -> bool:
        """Whether a link leads to another answer to this form."""
        try:
            whole = urljoin(self.url, link)
            query = urlsplit(whole).query
        except ValueError:
            return False
        ids = {form_id(self.url), self.form.id if self.form else ""} - {""}
        is_page = page_name(whole) == "viewform" and form_id(whole) in ids
        return is_page and "usp=form_confirm" in re.split("[&;]", query)


def squash(text: str) -> str:
    """Text without any whitespace."""
    return "".join(text.split())


def is_run(wanted: str, paragraphs: list[str]) -> bool:
    """Whether one or more whole paragraphs, one after the other, are the text that is wanted."""
    text = "".join(paragraphs)
    starts = [0]
    for paragraph in paragraphs:
        starts.append(starts[-1] + len(paragraph))
    ends = set(starts)
    return any(
        start + len(wanted) in ends and text.startswith(wanted, start) for start in starts[:-1]
    )
