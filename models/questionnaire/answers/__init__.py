"""Reading a text as an answer. What cannot be read for certain is not read: smsconvo asks again.

The parsers of addresses, numbers of phones and dates are loaded when the first such question is
asked: together they take a tenth of a second.
"""

import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, NamedTuple

from models.text import INVISIBLE, KEYCAP, QUOTES, fold, trim, without_accents

if TYPE_CHECKING:
    from models.questionnaire.schema import Choice, Question

SEPARATOR = ", "  # between the values of several choices
LONGEST = 400  # characters; only free text is longer
PATTERN_SECONDS = 0.1  # what a pattern may take: some never end on a text made for that


class Manner(NamedTuple):
    """What a text is read by, besides the question: the day it is, and the language."""

    day: date
    language: str = "en"
    yes: Sequence[str] = ()  # instead of the English words
    no: Sequence[str] = ()


def read(question: "Question", text: str, manner: Manner, media: Sequence[str] = ()) -> str | None:
    """The value of a text as an answer to this question; None where it is none."""
    if question.kind == "photo":
        return " ".join(media) or None
    if not INVISIBLE.sub("", text).strip():
        return None
    if question.kind == "text":
        return _read_text(question, text)
    return READERS[question.kind](question, text, manner) if len(text) <= LONGEST else None


def _read_text(question: "Question", text: str) -> str | None:
    words = text.strip()
    fits = is_between(Decimal(len(words)), question.min, question.max)
    return text if fits and _matches(question.pattern, words) else None


def _matches(pattern: str | None, words: str) -> bool:
    if pattern is None:
        return True
    import regex  # as dateparser has it; unlike Python's own it can be told when to end

    try:
        return regex.fullmatch(pattern, words, timeout=PATTERN_SECONDS) is not None
    except TimeoutError:
        return False


YES = {"y", "yes", "yeah", "yep", "yup", "yea", "ya", "sure", "ok", "okay", "definitely"}
YES |= {"absolutely", "certainly", "of course", "true", "👍", "✅"}
NO = {"n", "no", "nope", "nah", "nay", "never", "false", "👎", "❌"}
AFTER_YES = {"please", "thanks", "thank you", "of course", "definitely", "absolutely", "sir"}
AFTER_YES |= {"maam", "i am", "i do", "i will", "i would", "i can"}
AFTER_YES |= {"we are", "we do", "we will", "we can"}
AFTER_NO = {"thanks", "thank you", "sorry", "sir", "maam", "not at all"}
AFTER_NO |= {f"{who} {what}" for who in ("i", "we") for what in ("dont", "do not", "wont")}
AFTER_NO |= {f"{who} {what}" for who in ("i", "we") for what in ("will not", "cant", "cannot")}
AFTER_NO |= {"im not", "i am not", "we arent", "we are not"}


def _read_yes_no(question: "Question", text: str, manner: Manner) -> str | None:
    words = without_accents(fold(text)).replace("'", "")
    for said in (words, trim(words)):
        said = " ".join(re.sub(r"[,.!;]", " ", said).split()) or said
        for value, starts, tails in _yes_and_no(manner):
            if said in starts:
                return value
            if any(said == f"{start} {tail}" for start in starts for tail in tails):
                return value
    return None


def _yes_and_no(manner: Manner) -> Iterable[tuple[str, set[str], set[str]]]:
    yield "yes", *((_plainly(manner.yes), set()) if manner.yes else (YES, AFTER_YES))
    yield "no", *((_plainly(manner.no), set()) if manner.no else (NO, AFTER_NO))


def _plainly(words: Iterable[str]) -> set[str]:
    return {without_accents(fold(word)).replace("'", "") for word in words}


def _read_choice(question: "Question", text: str, manner: Manner) -> str | None:
    if not question.many:
        chosen = _find_choice(question.choices, text)
        return chosen and chosen.value
    several = _find_choices(question.choices, text)
    return SEPARATOR.join(one.value for one in question.choices if one in several) or None


def _find_choice(choices: Sequence["Choice"], text: str) -> "Choice | None":
    """The one that is meant: named, by number or letter, or begun as no other is."""
    said = _politely(without_accents(fold(text)))
    if named := [one for one in choices if said in one.names or trim(said) in one.names]:
        return named[0] if len(named) == 1 else None
    words = trim(said)
    if not words:
        return None
    marked = re.fullmatch(r"#?([0-9]{1,2}|[a-z])(?:[).: ]+(.+))?", words)
    placed = _placed(choices, marked[1]) if marked else None
    begun = [one for one in choices if any(name.startswith(words) for name in one.names)]
    only = begun[0] if len(begun) == 1 else None
    if marked and marked[2]:
        return placed if placed and trim(marked[2]) in placed.names else only
    if re.fullmatch("[0-9]*", words):
        return placed
    if placed and begun not in ([], [placed]):
        return None
    return placed or only


def _politely(said: str) -> str:
    return re.sub(r"[,\s]+(please|pls|thanks|thank you)\W*$", "", said, flags=re.IGNORECASE)


def _placed(choices: Sequence["Choice"], mark: str) -> "Choice | None":
    place = int(mark) if mark.isdecimal() else ord(mark) - ord("a") + 1
    return choices[place - 1] if 1 <= place <= len(choices) else None


def _find_choices(choices: Sequence["Choice"], text: str) -> list["Choice"]:
    """All that are meant, or none where a part is none of them."""
    if one := _find_choice(choices, text):
        return [one]
    found: list[Choice] = []
    said = _politely(unicodedata.normalize("NFKC", text))
    for part in filter(str.strip, re.split(r"[,;/&+\n]", said)):
        if not (several := _joined(choices, re.split(r"\band\b", part, flags=re.IGNORECASE))):
            return []
        found += several
    return found


def _joined(choices: Sequence["Choice"], parts: list[str]) -> list["Choice"]:
    """What stands between "and"s, some of which may be part of a name: of the longest there is."""
    found: list[Choice] = []
    parts = parts if parts[0].strip() else parts[1:]
    while parts:
        for count in range(len(parts), 0, -1):
            first = "and".join(parts[:count])
            if more := [one] if (one := _find_choice(choices, first)) else _marks(choices, first):
                break
        else:
            return []
        found += more
        parts = parts[count:]
    return found


def _marks(choices: Sequence["Choice"], text: str) -> list["Choice"]:
    """Numbers or letters with nothing but blanks between them."""
    marks = trim(fold(text)).split()
    if not all(re.fullmatch("[0-9]{1,2}|[a-z]", mark) for mark in marks):
        return []
    found = [_find_choice(choices, mark) for mark in marks]
    return [] if None in found else found


CURRENCY = "[$€£¥₹]"
NUMBER = re.compile(rf"{CURRENCY}? ?([-+]? ?{CURRENCY}? ?[0-9.,' ]*[0-9]) ?{CURRENCY}?([^0-9]*)")
GROUPED = re.compile(r"[1-9][0-9]{0,2}(?:([,' .])[0-9]{3})(?:\1[0-9]{3})*")
MAGNITUDES = {"and", "or", "to", "k", "m", "hundred", "thousand", "million", "billion", "dozen"}
MAGNITUDES |= {"half", "point", "percent", "x", "plus", "minus"}
MOST_DIGITS = 15
SMALL = re.compile("[²³¹\u2070-\u208e]")  # above or below the line


def _read_number(question: "Question", text: str, manner: Manner) -> str | None:
    found = NUMBER.fullmatch(_without_emoji(fold(text.replace(KEYCAP, ""))))
    if not found or SMALL.search(text) or not _is_unit(found[2]):
        return None
    digits = re.sub(CURRENCY, "", found[1]).replace("+", "").replace(" ", " ").strip()
    sign = "-" if digits.startswith("-") else ""
    value = _decimal(digits.lstrip("- "))
    if value is None or len(value.as_tuple().digits) > MOST_DIGITS:
        return None
    value = -value if sign else value
    if question.whole and value != value.to_integral_value():
        return None
    return plain(value) if is_between(value, question.min, question.max) else None


def _without_emoji(folded: str) -> str:
    """With blanks for emoji, and without what stands around a number by way of punctuation."""
    signs = "".join(" " if ord(sign) > 0x2190 else sign for sign in folded if sign != '"')
    return " ".join(signs.split()).strip("!?;:()[]*'").rstrip(".,'").strip()


def _is_unit(words: str) -> bool:
    """Up to two words that leave the number what it is."""
    several = words.lstrip(",.! ").split()
    plain_words = all(word.isalpha() for word in several)
    return len(several) <= 2 and plain_words and not MAGNITUDES & set(several)


def _decimal(digits: str) -> Decimal | None:
    """A number with or without separators; None where they can be taken in two ways, or none."""
    if re.fullmatch("[1-9][0-9]{0,2}\\.[0-9]{3}", digits):
        return None  # a thousand in half of the world, and one in the other
    whole, fraction = digits, ""
    if found := re.fullmatch(r"(.*[0-9])([.,])([0-9]+)", digits):
        if found[2] in found[1] or (found[2] == "," and GROUPED.fullmatch(digits)):
            fraction = ""  # all of one kind: they group
        else:
            whole, fraction = found[1], found[3]
    elif found := re.fullmatch(r"[.,]([0-9]+)", digits):
        whole, fraction = "0", found[1]
    if not whole.isdecimal() and not GROUPED.fullmatch(whole):
        return None
    return Decimal(re.sub("[^0-9]", "", whole) + (f".{fraction}" if fraction else ""))


def plain(value: Decimal) -> str:
    """In digits, without zeros at the end."""
    digits = f"{value:f}"
    digits = digits.rstrip("0").rstrip(".") if "." in digits else digits
    return "0" if digits == "-0" else digits


def is_between(value: Decimal, least: float | None, most: float | None) -> bool:
    at_least = least is None or value >= Decimal(str(least))
    return at_least and (most is None or value <= Decimal(str(most)))


LONGEST_DATE = 60
RANGE_OR_PERIOD = re.compile(
    r"[^-]*[0-9] ?- ?[0-9][^-]*|[0-9]+|.*[0-9]:[0-9].*|midnight"
    r"|\w+ (day|week|month|year)s?"
)
DECIMAL = re.compile(r"[0-9]+\.[0-9]+")  # a day and its month only where the day comes first
BEFORE_WEEKDAY = re.compile(r"(?:(?:on|this|next|coming|el|este|pr[oó]ximo) )+")
LEAP_YEARS = 8  # at most so far from one 29 February to the next


def _read_date(question: "Question", text: str, manner: Manner) -> str | None:
    said = trim(fold(text))
    if len(said) > LONGEST_DATE or RANGE_OR_PERIOD.fullmatch(said):
        return None
    if DECIMAL.fullmatch(said) and not question.day_first:
        return None
    least, most = limit(question.earliest, manner.day), limit(question.latest, manner.day)
    for day in _days(said, manner, question.day_first):
        if (least is None or day >= least) and (most is None or day <= most):
            return day.isoformat()
    return None


def limit(written: str | None, today: date) -> date | None:
    """The day that `earliest` or `latest` names: a date, or today and some days."""
    if written is None:
        return None
    if written.startswith("today"):
        return today + timedelta(days=int(written[5:-1] or 0))
    return date.fromisoformat(written)


def _days(said: str, manner: Manner, day_first: bool) -> Iterable[date]:
    """The days that are meant, the likeliest first."""
    if day := _parse_date(said, manner, "relative-time", "current_period"):
        yield day
        return
    weekday = BEFORE_WEEKDAY.sub("", said, count=1)
    if weekday.isalpha() and len(weekday) > 2 and (day := _next_weekday(weekday, manner)):
        yield day
        return
    # In the question's order, or in the other one where numbers fit only that, such as 13/05.
    yield from list(_absolute_days(said, manner, day_first)) or _absolute_days(
        said, manner, not day_first
    )


def _absolute_days(said: str, manner: Manner, day_first: bool) -> Iterable[date]:
    numbers = re.findall("[0-9]+", said)
    has_year = len(numbers) > (1 if re.search("[^\\W\\d_]{3}", said) else 2)
    order = "DMY" if day_first else "MDY"
    for prefer in ["current_period"] if has_year else ["future", "past"]:
        if day := _parse_date(said, manner, "absolute-time", prefer, order=order):
            yield from [day] if has_year else _in_years(day, manner.day, prefer)


def _parse_date(
    said: str,
    manner: Manner,
    parser: str,
    prefer: str,
    required: Sequence[str] = ("day", "month"),
    order: str = "DMY",
) -> date | None:
    import dateparser

    found = dateparser.parse(
        said,
        languages=list(dict.fromkeys([manner.language, "en"])),
        settings={
            "DATE_ORDER": order,
            "PREFER_LOCALE_DATE_ORDER": False,
            "PREFER_DATES_FROM": prefer,
            "RELATIVE_BASE": datetime.combine(manner.day, time(12)),
            "REQUIRE_PARTS": list(required),
            "PARSERS": [parser],
        },
    )
    return found and found.date()


def _next_weekday(word: str, manner: Manner) -> date | None:
    """After today. A month alone is parsed too, and is further away than a week."""
    day = _parse_date(word, manner, "absolute-time", "future", ())
    return day if day and 0 < (day - manner.day).days <= 7 else None


def _in_years(day: date, today: date, prefer: str) -> Iterable[date]:
    """This day of the year: the next one from today on, or the last one before."""
    ahead = [today.year + n for n in range(LEAP_YEARS + 1)]
    for year in ahead if prefer == "future" else [2 * today.year - one for one in ahead]:
        with suppress(ValueError):
            that = day.replace(year=year)
            if (that >= today) == (prefer == "future"):
                yield that
                return


def _read_email(question: "Question", text: str, manner: Manner) -> str | None:
    from email_validator import EmailNotValidError, validate_email

    words = unicodedata.normalize("NFKC", INVISIBLE.sub("", text)).translate(QUOTES).split()
    addresses = [word for word in words if "@" in word]
    if len(addresses) != 1:
        return None
    address = re.sub("(?i)^mailto:", "", _without_brackets(addresses[0]))
    try:
        return validate_email(address, check_deliverability=False).normalized
    except EmailNotValidError:
        return None


def _without_brackets(word: str) -> str:
    return re.sub(r"^([<>()\[\]{}\"',;:!?]|[^\w\x00-\x7f])+|[\W_]+$", "", word)


def _read_phone(question: "Question", text: str, manner: Manner) -> str | None:
    import phonenumbers

    said = _without_emoji(fold(text.replace(KEYCAP, ""))).strip(".")
    if not re.fullmatch("[+(]?[-0-9()./ ]+", said.removeprefix("tel:")):
        return None
    try:
        number = phonenumbers.parse(said.removeprefix("tel:"), question.region)
    except phonenumbers.NumberParseException:
        return None
    if not phonenumbers.is_valid_number(number):
        return None
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


Reader = Callable[["Question", str, Manner], str | None]
READERS: dict[str, Reader] = {
    "yes_no": _read_yes_no,
    "choice": _read_choice,
    "number": _read_number,
    "date": _read_date,
    "email": _read_email,
    "phone": _read_phone,
}
