"""What the page that answers a POST shows: the form again, or that it has recorded the answer.

It never depends on the language of the page, nor on the names of its classes, which change.
"""

import re
from collections.abc import Iterator
from itertools import islice
from typing import Any
from urllib.parse import urljoin

from models.google_form.address import form_id, page_name
from models.google_form.fields import OF_PAGE
from models.google_form.markup import Document, Link, read_document
from models.google_form.page import FormPage, find_data, has_items, read_form

# Of pages before 2021. There, a style sheet may have the name without any element that has it.
OLD_CONFIRMATION = "freebirdFormviewerViewResponseConfirmationMessage"

MAX_LINKS = 20  # of a kind that are looked at; pages have one


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
    def is_of_form(self) -> bool:
        """Whether this is a page of this form: only there, abuse of it can be reported.

        A page about an error may have the id, too, where it leads to a sign-in.
        """
        links = (link for link in self.document.links if "reportabuse" in link.target)
        return any(self._leads_to(link, "reportabuse") for link in islice(links, MAX_LINKS))

    @property
    def is_marked(self) -> bool:
        """Whether there is what only a page has that confirms an answer to this form.

        A link counts if it is a paragraph with words. In what the owner says, an address becomes a
        link, too, even if the form is closed.
        """
        is_old = OLD_CONFIRMATION in self.document.classes
        links = self._links_to_another()
        return is_old or any(link.text and "form_confirm" not in link.text for link in links)

    def confirms(self, form: FormPage | None) -> bool:
        """Whether it may be the page that confirms an answer to this form.

        Its link, or the text that confirms, are the owner's words at worst. So that is only proof
        while the form is open: the page of a closed form may have the same words.
        """
        if any(self._links_to_another(form.id if form else "")):
            return True
        return form is not None and self.says(form.confirmation)

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

    def _links_to_another(self, public_id: str = "") -> Iterator[Link]:
        """The links that lead to another answer to this form."""
        links = (link for link in self.document.links if "form_confirm" in link.target)
        for link in islice(links, MAX_LINKS):
            _, _, query = link.target.partition("?")
            is_another = "usp=form_confirm" in re.split("[&;]", query)
            if is_another and self._leads_to(link, "viewform", public_id):
                yield link

    def _leads_to(self, link: Link, page: str, public_id: str = "") -> bool:
        """Whether a link leads to this page of the form; its address may have the editor's id."""
        try:
            target = urljoin(self.url, link.target)
        except ValueError:
            return False
        ids = {form_id(self.url), self.form.id if self.form else "", public_id} - {""}
        return page_name(target) == page and form_id(target) in ids


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
