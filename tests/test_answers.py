"""What each kind of question makes of texts as people send them."""

import time
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import hypothesis
import pytest
from hypothesis import strategies as st

from models import Questionnaire, Questionnaires

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)  # a Friday
PHOTO = "https://api.twilio.com/2010-04-01/photo"

MEALS = """
kind = "choice"
choices = ["Pizza", "Pasta", { value = "veg", say = "Salad", also = ["vegan", "greens"] },
           "Fish and chips", "Café crème"]
"""
# The lines of a question, or of its file, by the name of the table.
QUESTIONS = {
    "text": "",
    "code": "min = 2\nmax = 5\npattern = '[A-Z]+[0-9]*'",
    "yes_no": "kind = 'yes_no'",
    "si_no": "kind = 'yes_no'",
    "choice": MEALS,
    "sizes": "kind = 'choice'\nchoices = ['S', 'M', 'L', 'XL', '38', 'A+']",
    "marks": "kind = 'choice'\nchoices = ['Beef', 'Apple', 'Cola', 'Beer']",
    "many": MEALS + "many = true",
    "number": "kind = 'number'",
    "guests": "kind = 'number'\nmin = 1\nmax = 12\nwhole = true",
    "date": "kind = 'date'",
    "day_first": "kind = 'date'\nday_first = true",
    "arrival": "kind = 'date'\nearliest = 'today'\nlatest = 'today+30d'",
    "birthday": "kind = 'date'\nday_first = true\nearliest = 1900-01-01\nlatest = 'today-1d'",
    "fecha": "kind = 'date'\nday_first = true",
    "email": "kind = 'email'",
    "phone": "kind = 'phone'",
    "us_phone": "kind = 'phone'\nregion = 'US'",
    "photo": "kind = 'photo'",
}
FILES = {
    "fecha": 'language = "es"',
    "si_no": 'say = { yes = ["sí", "claro", "por supuesto"], no = ["no", "nunca"] }',
}
# From what a text is to what it is read as; None is: not read, and asked for again.
READ: dict[str, dict[str, str | None]] = {
    "text": {
        **{said: said for said in ("Blue", "  Blue ", "🍕", "0", "no", "a\nb", "日本", "“x”", ".")},
        "x" * 1600: "x" * 1600,
        "\u200b": "\u200b",
        "": None,
        " \n\t ": None,
        "\u00a0": None,
    },
    "code": {
        "AB": "AB",
        "AB12": "AB12",
        " AB1 ": " AB1 ",
        "ABCDE": "ABCDE",
        **dict.fromkeys(("A", "ABCDEF", "ab", "1AB", "AB-1", "AB 1", "AB1!"), None),
    },
    "yes_no": {
        **dict.fromkeys(
            ("y", "Y", "yes", "YES", "Yes.", " yes ", "yes!!", "“Yes”", "ｙｅｓ"), "yes"
        ),
        **dict.fromkeys(
            ("Yeah", "yep", "Yup 👍", "yea", "ya", "sure", "Sure!", "OK", "okay"), "yes"
        ),
        **dict.fromkeys(("Yes please", "yes, thanks!", "Yes thank you", "yes I am", "Y."), "yes"),
        **dict.fromkeys(("Yes, of course", "of course", "Absolutely!", "certainly", "true"), "yes"),
        **dict.fromkeys(
            ("👍", "👍🏽", "✅", "yes we can", "Yes ma’am", "yes\u200b", "YES🎉🎉"), "yes"
        ),
        **dict.fromkeys(
            ("n", "N.", "no", "NO", "No!", "nope", "Nah", "nay", "never", "false"), "no"
        ),
        **dict.fromkeys(
            ("no thanks", "No, thank you.", "no sorry", "👎", "❌", "No, not at all"), "no"
        ),
        **dict.fromkeys(("No I don’t", "no i can't", "No, we won't", "no I’m not", "No sir"), "no"),
        **dict.fromkeys(("no problem", "yes and no", "not sure", "maybe", "no idea", "1"), None),
        **dict.fromkeys(
            ("yes but late", "dunno", "?", "🤷", "yess no", "no yes", "not", "yn"), None
        ),
        **dict.fromkeys(("I think so", "knows", "", "yes" * 140, "nowhere", "si", "2"), None),
    },
    "si_no": {
        **dict.fromkeys(("si", "Sí", "¡Sí!", "SI.", "sí 👍", "Claro", "por supuesto"), "yes"),
        **dict.fromkeys(("no", "No.", "nunca"), "no"),
        **dict.fromkeys(("yes", "y", "n", "sí por favor", "no gracias", "sino"), None),
    },
    "choice": {
        **dict.fromkeys(
            ("Pizza", "pizza", "PIZZA!", " pizza 🍕", "“Pizza”", "ｐｉｚｚａ"), "Pizza"
        ),
        **dict.fromkeys(
            ("1", "1.", "#1", "(1)", "1)", "１", "1️⃣", "١", "①", "a", "A.", "a)"), "Pizza"
        ),
        **dict.fromkeys(
            ("pi", "piz", "Pizza please", "pizza, thanks!", "1) Pizza", "1 pizza"), "Pizza"
        ),
        **dict.fromkeys(
            ("Pasta", "pas", "2", "b", "b. Pasta", "2\ufe0f\u20e3", "2 please"), "Pasta"
        ),
        **dict.fromkeys(("Salad", "veg", "Vegan", "greens", "gr", "sal", "3", "vega"), "veg"),
        **dict.fromkeys(
            ("fish and chips", "Fish", "f", "4", "d", "fish  and\nchips"), "Fish and chips"
        ),
        **dict.fromkeys(("cafe creme", "Café crème", "CAFÉ", "caf", "5", "e"), "Café crème"),
        **dict.fromkeys(("p", "c", "6", "0", "no. 2", "1, 3", "pizza and pasta", "12"), None),
        **dict.fromkeys(("I like pizza", "2 pizza", "3) Pasta", "pizzas", "?", "🍕"), None),
        **dict.fromkeys(
            ("g h", "x", "1.5", "both", "pizza or pasta", "", "1 2", "pizza" * 81), None
        ),
    },
    "sizes": {
        "s": "S",
        "S.": "S",
        "l": "L",
        "xl": "XL",
        "x": "XL",
        "XL please": "XL",
        "4": "XL",
        "38": "38",
        "3": "L",
        "A+": "A+",
        "a": None,
        "b": "M",
        "5": "38",
        "f": "A+",
        "m": "M",
        **dict.fromkeys(("XXL", "39", "7", "A-", "sm"), None),
    },
    "marks": {
        "a": None,
        "b": None,
        "be": None,
        "bee": None,
        "beer": "Beer",
        "c": "Cola",
        "d": "Beer",
        "app": "Apple",
        "beef": "Beef",
        "co": "Cola",
        "4": "Beer",
        "1": "Beef",
        "B) Apple": "Apple",
    },
    "many": {
        **dict.fromkeys(
            ("1, 3", "1 3", "1,3", "3 and 1", "1 & 3", "1+3", "1/3", "a c"), "Pizza, veg"
        ),
        **dict.fromkeys(
            ("pizza and salad", "Pizza; greens", "salad\npizza", "1 and vegan"), "Pizza, veg"
        ),
        **dict.fromkeys(("1, 1, 3", "3,1.", "pizza, pizza, veg", "1️⃣ 3️⃣", "A, C"), "Pizza, veg"),
        "fish and chips": "Fish and chips",
        "2": "Pasta",
        "Pizza please": "Pizza",
        "pizza and fish and chips": "Pizza, Fish and chips",
        "1 2 3": "Pizza, Pasta, veg",
        "pizza, fish and chips and pasta": "Pizza, Pasta, Fish and chips",
        **dict.fromkeys(
            ("1, 9", "pizza and beer", "1-3", "all", "pizza pasta", ",", "", "and"), None
        ),
        **dict.fromkeys(("1 0", "none", "pizza or pasta", "1 3 x"), None),
    },
    "number": {
        **dict.fromkeys(
            ("24", " 24 ", "24.", "24!", "２４", "٢٤", "2️⃣4️⃣", "24 years", "24 🎂"), "24"
        ),
        **dict.fromkeys(
            ("24 years old", "24kg", "€24", "24 €", "$24", "+24", "24.0", "24 people"), "24"
        ),
        **dict.fromkeys(("1,5", "1.5", "1,50", "1.50", "$1.50", "1,5 kg"), "1.5"),
        **dict.fromkeys(("1,000", "1 000", "1\u00a0000", "1\u202f000", "1'000", "1’000"), "1000"),
        "1,000.50": "1000.5",
        "1.000,50": "1000.5",
        "1.000.000": "1000000",
        "12,345,678": "12345678",
        "-5": "-5",
        "−5": "-5",
        "- 5": "-5",
        "0": "0",
        "-0": "0",
        ".5": "0.5",
        "0.125": "0.125",
        "007": "7",
        "2.50": "2.5",
        "0,5": "0.5",
        "10": "10",
        "🔟": "10",
        "100": "100",
        "3 please": "3",
        "1000": "1000",
        "123456789012345": "123456789012345",
        "1e5": None,
        "1234567890123456": None,
        **dict.fromkeys(("1.000", "12.345", "ten", "5k", "10%", "1/2", "½", "3-4", "3 or 4"), None),
        **dict.fromkeys(
            ("about 5", "I'm 24", "v2", "5 hundred", "2 million", "3 and a half"), None
        ),
        **dict.fromkeys(
            ("1,00,0", "1..5", "--5", "", "?", "5 of the big ones", "two", "3 dozen"), None
        ),
        **dict.fromkeys(("10:30", "1 2", "555-1234", "1,000,00", "#", "12x", "5 to 6", "²"), None),
    },
    "guests": {
        "1": "1",
        "12": "12",
        "3.0": "3",
        "4 of us": "4",
        "5 people!": "5",
        "١٢": "12",
        **dict.fromkeys(("0", "13", "-1", "2.5", "1,000", "none", "12.5"), None),
    },
    "date": {
        **dict.fromkeys(
            ("2027-05-03", "3 May", "May 3", "May 3rd", "3rd of May", "3 may!"), "2027-05-03"
        ),
        **dict.fromkeys(("5/3/27", "3 May 2027", "may 3, 2027", "05/03", "5/3"), "2027-05-03"),
        "today": "2026-11-20",
        "Tomorrow!": "2026-11-21",
        "tonight": "2026-11-20",
        "yesterday": "2026-11-19",
        "in 3 days": "2026-11-23",
        "in two weeks": "2026-12-04",
        "Friday": "2026-11-27",
        "next friday": "2026-11-27",
        "Mon": "2026-11-23",
        "on Saturday": "2026-11-21",
        "this sunday": "2026-11-22",
        "13/05": "2027-05-13",
        "20 November": "2026-11-20",
        "19 November": "2027-11-19",
        "Dec 24": "2026-12-24",
        "24/12/2026": "2026-12-24",
        "2026-12-24": "2026-12-24",
        "29 Feb": "2028-02-29",
        "3 May 2020": "2020-05-03",
        "３ Ｍａｙ": "2027-05-03",
        "3\u00a0May": "2027-05-03",
        **dict.fromkeys(("May", "2027", "3", "3rd", "5pm", "soon", "31 Feb", "3-4", "maybe"), None),
        **dict.fromkeys(
            ("I may come", "415-867-5308", "3 or 4 May", "next week", "christmas"), None
        ),
        **dict.fromkeys(
            ("10:30", "", "?", "any day", "weekend", "3 May " * 11, "13/13", "may"), None
        ),
    },
    "day_first": {
        "03/05": "2027-05-03",
        "3.5.2027": "2027-05-03",
        "03-05-2027": "2027-05-03",
        "5/13": "2027-05-13",
        "24.12.": "2026-12-24",
        "24.12": "2026-12-24",
        "2027-05-03": "2027-05-03",
        **dict.fromkeys(("31/02", "32/01", "3"), None),
    },
    "arrival": {
        "today": "2026-11-20",
        "Tuesday": "2026-11-24",
        "Dec 20": "2026-12-20",
        **dict.fromkeys(("yesterday", "Dec 21", "3 May", "2026-11-19"), None),
    },
    "birthday": {
        "3 May 1990": "1990-05-03",
        "03/05/1990": "1990-05-03",
        "yesterday": "2026-11-19",
        "3 May": "2026-05-03",
        "24 December": "2025-12-24",
        "29 Feb": "2024-02-29",
        **dict.fromkeys(("tomorrow", "3 May 2027", "1899-12-31", "1990"), None),
    },
    "fecha": {
        "3 de mayo": "2027-05-03",
        "mañana": "2026-11-21",
        "hoy": "2026-11-20",
        "martes": "2026-11-24",
        "el viernes": "2026-11-27",
        "3 May": "2027-05-03",
        **dict.fromkeys(("mayo", "pronto", "no sé"), None),
    },
    "email": {
        **dict.fromkeys(("anna@example.com", "Email: anna@example.com"), "anna@example.com"),
        **dict.fromkeys(("it's anna@example.com!", "<anna@example.com>"), "anna@example.com"),
        **dict.fromkeys(("anna@EXAMPLE.com.", "mailto:anna@example.com"), "anna@example.com"),
        **dict.fromkeys(("“anna@example.com” 😀", "ａnna＠example.com"), "anna@example.com"),
        "Anna.B+x@Example.co.uk": "Anna.B+x@example.co.uk",
        "o'neil@a.org": "o'neil@a.org",
        "o’neil@a.org": "o'neil@a.org",
        "anna@münchen.de": "anna@münchen.de",
        **dict.fromkeys(
            ("anna at example dot com", "anna@example", "@anna", "anna@", "anna"), None
        ),
        **dict.fromkeys(("anna @example.com", "a@b.com or c@d.com", "anna@@example.com"), None),
        **dict.fromkeys(("", "no", "an na@", "anna@example..com", "anna@-x.com"), None),
    },
    "phone": {
        **dict.fromkeys(("+14158675308", "+1 415 867 5308", "+1 (415) 867-5308"), "+14158675308"),
        **dict.fromkeys(
            ("＋１４１５８６７５３０８", "+1.415.867.5308 📞", "+1-415-867-5308."), "+14158675308"
        ),
        "+49 30 901820": "+4930901820",
        "+44 (0)20 7946 0018": "+442079460018",
        **dict.fromkeys(("4158675308", "867-5308", "+1", "+999123456789", "call me", ""), None),
    },
    "us_phone": {
        **dict.fromkeys(
            ("4158675308", "(415) 867-5308", "415.867.5308", "415 867 5308"), "+14158675308"
        ),
        **dict.fromkeys(("1-415-867-5308", "+1 415 867 5308", "٤١٥٨٦٧٥٣٠٨"), "+14158675308"),
        "+49 30 901820": "+4930901820",
        **dict.fromkeys(("867-5308", "123", "415-867-5308 or 415-867-5309", "1-800-FLOWERS"), None),
        **dict.fromkeys(("415 867 5308 x12", "415867530", "41586753089", "none"), None),
    },
    "photo": {"Here you are": None, "": None, "later": None},
}
TABLE = [
    pytest.param(name, said, value, id=f"{name}-{ascii(said[:40])}")
    for name, table in READ.items()
    for said, value in table.items()
]


@pytest.fixture(scope="module")
def questions(tmp_path_factory) -> dict[str, Questionnaire]:
    directory = tmp_path_factory.mktemp("questions")
    for name, lines in QUESTIONS.items():
        opening = f'title = "T"\nevent = "{name}"\nthanks = "T"\n{FILES.get(name, "")}\n'
        content = f'{opening}[[questions]]\nkey = "it"\nask = "It?"\n{lines}\n'
        (directory / f"{name}.toml").write_text(content, "utf-8")
    return dict(Questionnaires.load(directory))


@pytest.mark.parametrize(("name", "said", "value"), TABLE)
def test_a_text_is_read_as_people_mean_it(questions, name, said, value):
    assert questions[name].read("it", said, NOW) == value


def test_the_table_is_as_long_as_it_should_be():
    values = [value for table in READ.values() for value in table.values()]
    assert len(values) >= 300
    assert values.count(None) >= 50


def test_photos_are_the_answer_whatever_the_words(questions):
    assert questions["photo"].read("it", "", NOW, [PHOTO]) == PHOTO
    assert questions["photo"].read("it", "Me!", NOW, [PHOTO, PHOTO]) == f"{PHOTO} {PHOTO}"
    assert questions["text"].read("it", "Me!", NOW, [PHOTO]) == "Me!"


def test_a_day_is_one_where_the_questionnaire_is_at_home(tmp_path):
    for name, zone in (("east", "Pacific/Auckland"), ("west", "America/Los_Angeles")):
        content = f'title = "T"\nevent = "{name}"\ntimezone = "{zone}"\nthanks = "T"\n'
        content += '[[questions]]\nkey = "it"\nask = "It?"\nkind = "date"\n'
        (tmp_path / f"{name}.toml").write_text(content, "utf-8")
    zones = dict(Questionnaires.load(tmp_path))
    assert zones["east"].read("it", "today", NOW) == "2026-11-21"
    assert zones["west"].read("it", "today", NOW) == "2026-11-20"


def test_a_pattern_that_never_ends_is_given_up(tmp_path):
    content = 'title = "T"\nthanks = "T"\n[[questions]]\nkey = "it"\nask = "It?"\n'
    (tmp_path / "a.toml").write_text(content + "pattern = '(a+)+b|(a|aa)+c'", "utf-8")
    questionnaire = Questionnaires.load(tmp_path)["a"]
    began = time.monotonic()
    assert questionnaire.read("it", "a" * 1500 + "!", NOW) is None
    assert time.monotonic() - began < 2
    assert questionnaire.read("it", "aaab", NOW) == "aaab"


# Whatever is texted

PIECES = ["1", "2.5", ",", ".", "-", "/", " ", "and", "@", "a.b", "+1", "415", "May", "today", "’"]
PIECES += [
    "yes",
    "no",
    "Pizza",
    "b",
    "1️⃣",
    "٣",
    "½",
    "\u200d",
    "\ufe0f",
    "e\u0301",
    "%",
    "{0}",
    "\n",
]
texts = st.one_of(
    st.text(max_size=1600),
    st.lists(st.sampled_from(PIECES), max_size=30).map("".join),
    st.lists(st.one_of(st.sampled_from(PIECES), st.text(max_size=3)), max_size=12).map(" ".join),
)


@pytest.mark.parametrize("name", QUESTIONS)
@hypothesis.settings(max_examples=150, deadline=None, derandomize=True)
@hypothesis.given(said=texts)
def test_whatever_is_texted_is_read_alike_twice_and_fits_the_question(questions, name, said):
    questionnaire = questions[name]
    value = questionnaire.read("it", said, NOW)
    assert questionnaire.read("it", said, NOW) == value
    if value is not None:
        assert fits(questionnaire, value)


def fits(questionnaire: Questionnaire, value: str) -> bool:
    (question,) = questionnaire.questions
    match question.kind:
        case "yes_no":
            return value in ("yes", "no")
        case "choice":
            values = [choice.value for choice in question.choices]
            given = value.split(", ") if question.many else [value]
            return set(given) <= set(values) and given == sorted(given, key=values.index)
        case "number":
            number = Decimal(value)
            return (question.min or number) <= number <= (question.max or number)
        case "date":
            day = date.fromisoformat(value)
            limits = {"arrival": (0, 30), "birthday": (-50_000, -1)}.get(questionnaire.event)
            return (
                limits is None or limits[0] <= (day - NOW.date()) / timedelta(days=1) <= limits[1]
            )
        case "email" | "phone":
            return questionnaire.read("it", value, NOW) == value
    return question.kind == "text" and value.strip() != ""
