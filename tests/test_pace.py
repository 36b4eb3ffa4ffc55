"""No text, of any kind, takes long to be read: all other texts wait for it meanwhile.

A new kind is tried by its name in the registry. What is measured is processor time, and the limit
grows with what plain work takes: see pace.py.
"""

import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from conftest import NUMBER, context_of
from pace import LONGEST, TRIES, is_slow, least_seconds, limit
from test_answers import ABOVE, FILE, FRIDAY, QUESTIONS

from models import Catalog, IncomingText, Questionnaire, load_catalog
from models.non_answers import find_opt_keyword, ignored_reason
from models.questionnaire.answers import KINDS
from models.questionnaire.languages import LANGUAGES
from models.text import comparable, fold_case, without_signature

pytestmark = pytest.mark.long

LENGTHS = (60, 400, LONGEST)  # a date has 60 characters at most, and most kinds 400

NEVER_ENDS = "text that never ends"
RANGES = [f'"{n}-{n + 4} people"' for n in range(0, 200, 5)]
MANY = [f'"Choice and number {n} of all"' for n in range(60)]
HARD = QUESTIONS | {
    "choice of 60": f'kind = "choice"\nchoices = [{", ".join(MANY)}]',
    "choice many of 60": f'kind = "choice"\nmany = true\nchoices = [{", ".join(MANY)}]',
    "choice many of and": 'kind = "choice"\nmany = true\nchoices = ["1 and 2 and 3", "a", "b"]',
    "choice of amounts": f'kind = "choice"\nchoices = [{", ".join(RANGES)}]',
    "choice of hours": 'kind = "choice"\nmany = true\nchoices = ["9am", "11am", "3pm", "8:30"]',
    "choice in Italian": 'kind = "choice"\nchoices = ["Pizza", "Pasta", "Insalata"]',
    NEVER_ENDS: "pattern = '(a|aa)+b|([0-9]+ ?)+x|(.*1.*){9}y'",
    "date in Japanese": 'kind = "date"',
    "date in Korean": 'kind = "date"',
    "date in Portuguese": 'kind = "date"',
    "number in French": 'kind = "number"',
    "rating in Dutch": 'kind = "rating"',
    "yes_no in Spanish": 'kind = "yes_no"',
    "date in German": 'kind = "date"',
    "time in Dutch": 'kind = "time"',
}
ABOVE_HARD = ABOVE | {
    "choice in Italian": 'language = "it"',
    "date in Japanese": 'language = "ja"',
    "date in Korean": 'language = "ko"',
    "date in Portuguese": 'language = "pt"',
    "number in French": 'language = "fr"',
    "rating in Dutch": 'language = "nl"',
    "yes_no in Spanish": 'language = "es"',
    "date in German": 'language = "de"',
    "time in Dutch": 'language = "nl"',
}
# Each kind of the registry has a question, a new one included.
HARD |= {f"{name} as it is": f'kind = "{name}"' for name in KINDS if name != "choice"}

TOKENS = r"1 a 9 x 12 . , ; / & + # @ - _ * ' \" ! ? ( ) [ $ € < { \ ٣ ½ ² ① ß İ ﬃ ﷺ Z T".split()
TOKENS += ["\0", "\n", " ", ", ", "\u0301", "a\u0301\u0323", "\u0323\u0301", "\u200b", "a\u200b"]
TOKENS += ["\u200d", "\u202e", "\ufe0f", "\u00a0", "\u3000", "\u20e3", "1\u20e3", "\U0001f51f"]
TOKENS += [
    "👍",
    "👍🏽",
    "👨\u200d👩\u200d👧",
    "שלום ",
    "مرحبا ",
    "你好",
    "월 ",
    "일",
    "月",
    "日 ",
    "1月",
]
TOKENS += [
    "1 and ",
    "and ",
    "a and b and c and ",
    "pizza and ",
    "fish and chips and ",
    "1, ",
    "c. ",
]
TOKENS += ["yes ", "no ", "please ", "thank you, ", "thanks ", "1) ", "1) pizza ", "or ", "1.1."]
TOKENS += ["1,000,", "1.000.", "1'000'", "1 000 ", "$1 ", "01/02/2026 ", "2026-01-01 ", "12:30 "]
TOKENS += [
    "3 May ",
    "monday ",
    "tomorrow ",
    "munday ",
    "half ",
    "to ",
    "5th ",
    "in 2 days ",
    "ago ",
    "a ",
    "m ",
    "seg ",
    "am ",
    "utc ",
]
TOKENS += [
    "a@b.c ",
    "a@b.c,",
    "a.b@",
    "mailto:",
    "xn--",
    "ä.",
    "+1 415 ",
    "tel:",
    "ext. 1 ",
    "(415) ",
]
TOKENS += ["two ", "hundred and ", "vingt et ", "quatre-", "mille ", "een ", "dozen ", "or maybe "]
TOKENS += [
    "1 of ",
    "⭐",
    "★☆ ",
    "-1 ",
    "1½",
    "we are ",
    "about ",
    "stars ",
    "people ",
    "1k ",
    "$1M ",
]
TOKENS += [
    "yes, ",
    "yes but ",
    "nooo",
    "can't ",
    "sí ",
    "si ",
    "no puedo ",
    "if ",
    "I'd love to ",
    ":) ",
]
TOKENS += [
    "liked ",
    "liked “",
    "“Hi” ",
    "reacted 👍 to ",
    "removed a heart from ",
    "an image ",
    "…",
]
TOKENS += ["i would like the ", "half ", "the first ", "option ", "twenty ", "over ", "9:", "all "]
TOKENS += ["https://maps.google.com/?q=1.5,2.5 ", "geo:1,2 ", "!3d1!4d2", "52.5163, ", "{"]
TOKENS += ["415-867-5308 ", "4158675308", "0049", "this number ", "anna@gmial.com ", " @ ", "e a "]


def texts(count: int) -> Iterator[str]:
    """Repetitions of all that readers know, alone, within other characters, and mixed."""
    chance = random.Random(1)
    for token in TOKENS:
        for length in LENGTHS:
            yield (token * length)[:length]
            yield f"1 {token * length}"[: length - 2] + " 1"
    for _ in range(count):
        some, length = chance.choices(TOKENS, k=chance.choice((2, 3, 5))), chance.choice(LENGTHS)
        mixed = some if chance.random() < 0.5 else chance.choices(some, k=length)
        yield ("".join(mixed) * length)[:length]


def slow(function: Callable[[str], object], count: int) -> list[tuple[str, float]]:
    """Texts that it takes too long for, and how long; the library of a kind is loaded before."""
    function("3 May")
    found = []
    for text in texts(count):
        if is_slow(function, text):
            found.append((text[:40], round(least_seconds(function, text), 3)))
    return found


@pytest.fixture(scope="module")
def loaded(tmp_path_factory) -> dict[str, Questionnaire]:
    directory = tmp_path_factory.mktemp("questionnaires")
    for name, question in HARD.items():
        content = FILE.format(name, ABOVE_HARD.get(name, ""), question)
        (directory / f"{name}.toml").write_text(content, "utf-8")
    return dict(load_catalog(directory))


def test_each_kind_is_tried(loaded):
    kinds = {each.by_key["it"].kind for each in loaded.values()}
    assert kinds == set(KINDS)


@pytest.mark.parametrize("name", HARD)
def test_no_text_takes_long_to_be_read(loaded, name):
    questionnaire = loaded[name]
    question, context = questionnaire.by_key["it"], context_of(questionnaire, FRIDAY)
    kind = KINDS[question.kind]

    def read(text: str) -> None:
        kind.is_name(question, text)
        kind.read(question, text, context, [text])

    assert slow(read, 20) == []


@pytest.mark.parametrize("function", [fold_case, comparable, without_signature])
def test_no_text_takes_long_to_be_compared(function):
    assert slow(function, 1000) == []


SEVERAL_VALUES = {
    "date": ("2026-11-27", "2026-12-04"),
    "time": ("03:00", "15:00"),
    "location": ("52.5163,13.3777", "48.1372,11.5755"),
    "email": ("a@example.org", "b@example.org"),
    "phone": ("+14155550100", "+14155550101"),
}


@pytest.mark.parametrize("name", HARD)
def test_no_text_takes_long_to_say_which_was_meant(loaded, name):
    questionnaire = loaded[name]
    question, context = questionnaire.by_key["it"], context_of(questionnaire, FRIDAY)
    kind = KINDS[question.kind]
    values = kind.values(question)[:3] or SEVERAL_VALUES.get(question.kind, ("1", "1000"))

    def settle(text: str) -> None:
        kind.settle(question, values, text, context)

    assert slow(settle, 10) == []


def test_no_text_takes_long_to_open_one_of_many_events():
    """Each is near some of them, and what looks like a mail signature is looked at, too."""
    tokens = [token.strip() for token in TOKENS if token.strip()]
    events = ["a and " * 60, *(f"{token} Party {n}" for n, token in enumerate(tokens))]
    catalog = Catalog({event: Questionnaire("x", event=event) for event in events})
    assert slow(lambda text: catalog.opens(text, NUMBER), 1000) == []
    for text in ("hi " * 4 + "a and " * 60 + "please " * 4, "Party\nSent from my iPhone"):
        assert not is_slow(lambda text=text: catalog.opens(text, NUMBER))


def test_no_text_takes_long_to_be_no_answer():
    def judge(text: str) -> None:
        find_opt_keyword(IncomingText("", "", text), LANGUAGES)
        ignored_reason(text, [text[:LONGEST]] * 5, LANGUAGES)

    assert slow(judge, 1000) == []


# Over HTTP ###################################################################

HARDEST = {
    "choice many of 60": "1 and " * 66 + "x",
    "choice many": "1 and " * 270,
    "text as it is": "ﷺ" * LONGEST,
    NEVER_ENDS: "a" * LONGEST,
    "date in Japanese": "月" * 60,
}


@pytest.mark.parametrize("name", HARDEST)
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_whole_turn_takes_little_longer_than_for_a_plain_text(serve, folder, name):
    content = FILE.format("it", ABOVE_HARD.get(name, ""), HARD[name])
    plain, hard = turns(serve, folder, content.replace("Thanks", "{it}"), HARDEST[name])
    assert hard - plain < limit()


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_many_conditions_on_a_long_answer_take_little_longer_than_on_a_short_one(serve, folder):
    more = "[[questions]]\nask = '{0}?'\nonly_if = {{ it = ['a', 'b', 'c{0}'] }}\n"
    content = FILE.format("it", "review = true", "") + "".join(map(more.format, range(40)))
    plain, hard = turns(serve, folder, content, "ﷺ" * LONGEST)
    assert hard - plain < limit()


def turns(serve: Callable, folder: Path, content: str, hard: str) -> list[float]:
    """The seconds that a plain answer takes, and this one, each as the second text of a guest."""
    for path in (folder / "questionnaires").glob("*.toml"):
        path.unlink()
    (folder / "questionnaires" / "it.toml").write_text(content, "utf-8")
    webhook = serve()

    def turn(guest: int, body: str) -> float:
        phone = webhook.phone(f"+14158670{guest:03}")
        phone.text("it")
        started = time.process_time()  # the app has a thread of its own
        phone.text(body)
        return time.process_time() - started

    turn(0, "3 May")  # loads the library of the kind
    return [
        min(turn(guest, body) for guest in range(first, first + TRIES))
        for first, body in ((10, "x"), (20, hard))
    ]
