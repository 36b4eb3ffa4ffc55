"""What Google's own words and classes are on the pages of forms."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Language:
    """What Google's own texts are in one language."""

    code: str
    recorded: str
    another: str
    required: str
    not_an_option: str
    closed: str
    submit: str
    captcha: str


LANGUAGES = {
    "en": Language(
        "en",
        "Your response has been recorded.",
        "Submit another response",
        "This is a required question",
        "Must be one of the options",
        'The form "{}" is no longer accepting responses.',
        "Submit",
        "Please complete the captcha",
    ),
    "de": Language(
        "de",
        "Deine Antwort wurde erfasst.",
        "Weitere Antwort senden",
        "Dies ist eine Pflichtfrage",
        "Muss eine der Optionen sein",
        "Für das Formular „{}“ sind keine Antworten mehr möglich.",
        "Senden",
        "Bitte löse das Captcha",
    ),
    "th": Language(
        "th",
        "เราได้บันทึกคำตอบของคุณไว้แล้ว",
        "ส่งคำตอบเพิ่มอีก",
        "จำเป็นต้องตอบคำถามนี้",
        "ต้องเป็นหนึ่งในตัวเลือก",
        "แบบฟอร์ม {} ไม่รับคำตอบแล้ว",
        "ส่ง",
        "โปรดทำแคปต์ชา",
    ),
}
# The classes of today's pages mean nothing; those of older ones are also in their style sheets.
CLASSES = {
    "plain": {},
    "today": {"message": "vHW8K", "question": "geS5n", "title": "F9yp7e", "links": "c2gzEf"},
    "older": {
        "message": "freebirdFormviewerViewResponseConfirmationMessage",
        "question": "freebirdFormviewerViewItemsItemItem",
        "title": "freebirdFormviewerViewHeaderTitle",
        "links": "freebirdFormviewerViewResponseLinksContainer",
    },
}
