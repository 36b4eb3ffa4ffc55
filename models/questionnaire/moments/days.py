"""What names a day in a text: rules about symbols, each of which makes Days of some of them.

The letters in the patterns are the categories of `lexicon`. What names a day that is none, such as
31 November, becomes unknown ("z"), so that nothing is read.
"""

import re
from collections.abc import Callable, Iterable
from datetime import date

from models.questionnaire.moments.calendar import Calendar, Days, add_days, add_months
from models.questionnaire.moments.lexicon import MONTH, Lexicon
from models.questionnaire.moments.symbols import Match, Numeric, Symbol, reduce

NO_DAY = Symbol("z", None, "")
# The text of an "E" that is a word as well: it counts where nothing else is said, or only beside
# another day.
DOUBTFUL, BESIDE = "doubtful", "beside"
MAX_WEEKS = 6  # that a month can touch: the fifth Friday is of a month, the sixth is Friday the 6th
Maker = Callable[["DayRules", Match], "Symbol | list[Symbol] | None"]


def find_days(symbols: list[Symbol], calendar: Calendar, lexicon: Lexicon) -> list[Symbol]:
    """The symbols, with an "E" in the place of those that name a day; its value is Days."""
    rules = DayRules(calendar, lexicon)
    for makers in (SINGLE, COMPOSED, BORROWED):
        symbols = reduce(symbols, [(pattern, _bind(make, rules)) for pattern, make in makers])
    return symbols


def _bind(make: Maker, rules: "DayRules") -> Callable[[Match], "Symbol | list[Symbol] | None"]:
    return lambda found: make(rules, found)


def _symbol(days: Days | None) -> Symbol:
    return Symbol("E", days, "") if days else NO_DAY


def _is_year(symbol: Symbol) -> bool:
    """Whether a number behind a month is a year: 26, but not 5, and not a word."""
    return symbol.category != "n" or (len(symbol.text) == 2 and symbol.text.isdigit())


class DayRules:
    """What the rules make of what they match."""

    def __init__(self, calendar: Calendar, lexicon: Lexicon) -> None:
        self.calendar, self.words = calendar, lexicon.dates

    # A day by itself #########################################################

    def day_and_month(self, found: Match) -> Symbol | None:
        day, months, year = (found.get(number) for number in (1, 2, 3))
        return self._of_parts(months, day, year)

    def month_and_day(self, found: Match) -> Symbol | None:
        months, day, year = (found.get(number) for number in (1, 2, 3))
        return self._of_parts(months, day, year)

    def year_month_and_day(self, found: Match) -> Symbol | None:
        year, months, day = (found.get(number) for number in (1, 2, 3))
        return self._of_parts(months, day, year)

    def _of_parts(self, months: Symbol, day: Symbol, year: Symbol | None) -> Symbol | None:
        if year and not _is_year(year):
            return None
        days = self._complete(months.value, day.value, self._year(year))
        is_hour = bool(year) and year.category == "n" and year.value < 25  # perhaps: 5 Dec 18
        is_certain = days and (not is_hour or len(days.tiers[0]) > 1 or self.calendar.has_limits)
        return _symbol(days if is_certain else None)

    def _complete(self, months: Iterable[int], day: int, year: str | None) -> Days | None:
        return self.calendar.complete([(month, day) for month in months], year)

    def _year(self, symbol: Symbol | None) -> str | None:
        if symbol is None:
            return None
        if symbol.category == "Y":
            return str(self.calendar.local_date.year + symbol.value)
        return symbol.text.lstrip("'")

    def figures(self, found: Match) -> Symbol | None:
        numeric: Numeric = found.get(1).value
        first, second = numeric.first, numeric.second
        if numeric.is_iso:
            return _symbol(self.calendar.complete([(first, second)], numeric.year))
        if numeric.year is None and not self._is_day(numeric):
            return None
        year = numeric.year or self._year(found.get(2))
        return _symbol(self._in_order(first, second, year))

    def _is_day(self, numeric: Numeric) -> bool:
        """Whether two numbers are a day and a month here, and not two of something, or 5.12."""
        if numeric.separator == "-":
            return self.words.has_hyphens
        has_points = self.words.has_points or self.calendar.orders == (True,)
        return numeric.separator == "/" or numeric.has_point or has_points

    def _in_order(self, first: int, second: int, year: str | None) -> Days | None:
        """In the orders that may be meant; in the other one where those give no day."""
        for orders in (self.calendar.orders, (True, False)):
            pairs = [(second, first) if day_first else (first, second) for day_first in orders]
            if days := self.calendar.complete(pairs, year):
                return days
        return None

    def eight_figures(self, found: Match) -> Symbol | None:
        text = found.get(1).text
        if days := self.calendar.complete([(int(text[4:6]), int(text[6:]))], text[:4]):
            return _symbol(days)
        return _symbol(self._in_order(int(text[:2]), int(text[2:4]), text[4:]))

    def day_of_month(self, found: Match) -> Symbol:
        return _symbol(self.calendar.day_of_month(found.get(1).value))

    def doubtful_day_of_month(self, found: Match) -> Symbol:
        """5th alone is a day if nothing else is said; "first" can be anything."""
        if not found.get(1).text[0].isdigit():
            return NO_DAY
        return self.day_of_month(found)._replace(text=DOUBTFUL)

    def day_with_point(self, found: Match) -> Symbol | None:
        """Der 5., where people write it so."""
        return self.day_of_month(found) if self.words.has_ordinal_points else None

    def day_in_month(self, found: Match) -> Symbol:
        return _symbol(self.calendar.in_month(found.get(2).value, found.get(1).value))

    def last_day(self, found: Match) -> Symbol:
        (month, *_), year = found.get(1).value, self._year(found.get(2))
        return _symbol(self.calendar.last_of_month(month, year))

    def weekday_of_month(self, found: Match) -> Symbol | None:
        return self._weekday_of(*(found.get(number) for number in (1, 2, 3, 4)))

    def _weekday_of(
        self, which: Symbol, weekday: Symbol, month: Symbol, year: Symbol | None
    ) -> Symbol | None:
        number = 0 if which.category == "l" else which.value
        if number > 4:
            return NO_DAY
        which_one = (number, weekday.value[0], month.value[0])
        return _symbol(self.calendar.weekday_of_month(*which_one, self._year(year)))

    def weekday_of_this_month(self, found: Match) -> Symbol | None:
        """The first Friday of this month, or of the next."""
        which, weekday, months_on = (found.get(number) for number in (1, 2, 3))
        first = add_months(self.calendar.local_date.replace(day=1), months_on.value)
        named = Symbol("M", (first.month,), ""), Symbol("y", first.year, str(first.year))
        return self._weekday_of(which, weekday, *named)

    def weekday_of_no_month(self, found: Match) -> Symbol | None:
        """The first Friday, of nobody knows what; the 27th, Friday is a day of a month."""
        which = found.get(1)
        is_ordinal = which.category == "o" or "." in found.letters
        return NO_DAY if is_ordinal and which.value < MAX_WEEKS else None

    def relative(self, found: Match) -> Symbol:
        return self._on(found.get(1).value)

    def _on(self, days: int) -> Symbol:
        day = add_days(self.calendar.local_date, days)
        return _symbol(Days(((day,),), "relative") if day else None)

    # Weekdays ################################################################

    def weekday(self, found: Match) -> Symbol:
        weekday = found.get(1)
        text = {"w": DOUBTFUL, "j": BESIDE}.get(weekday.category, "")
        return self._weekday(weekday, self.calendar.weekday)._replace(text=text)

    def weekday_and_day(self, found: Match) -> Symbol | None:
        """viernes 4, where people write it so."""
        if not self.words.has_bare_days:
            return None
        days = self.calendar.day_of_month(found.get(2).value)
        return _symbol(days and self.weekday(found).value.agree(days))

    def coming(self, found: Match) -> Symbol:
        return self._weekday(found.get(1), self.calendar.coming_weekday)

    def next(self, found: Match) -> Symbol:
        return self._weekday(found.get(1), self.calendar.next_weekday)

    def last(self, found: Match) -> Symbol:
        return self._weekday(found.get(1), self.calendar.last_weekday)

    def of_week(self, found: Match) -> Symbol:
        weeks_on = found.get(2).value
        return self._weekday(
            found.get(1), lambda weekday: self.calendar.weekday_of_week(weekday, weeks_on)
        )

    def week_of(self, found: Match) -> Symbol:
        weeks_on = found.get(1).value
        return self._weekday(
            found.get(2), lambda weekday: self.calendar.weekday_of_week(weekday, weeks_on)
        )

    def _weekday(self, symbol: Symbol, days_of: Callable[[int], Days]) -> Symbol:
        """The days of a weekday; of two, where a slip leaves both, those of each."""
        found = [days_of(weekday) for weekday in symbol.value]
        if len(found) == 1:
            return _symbol(found[0])
        days = tuple(day for each in found for day in each.tiers[0])
        return _symbol(Days((days,), "weekday"))

    # Days from another day ###################################################

    def later(self, found: Match) -> Symbol:
        """In three weeks."""
        return self._shift(self._today(), found.get(1), found.get(2), 1)

    def idiom(self, found: Match) -> Symbol | None:
        """In eight days, which is a week in some languages."""
        number = found.get(1)
        weeks = self.words.idioms.get(str(number.value))
        if weeks is None or found.get(2).value != ("day", 1):
            return None
        days = (
            add_days(self.calendar.local_date, count) for count in sorted((7 * weeks, number.value))
        )
        return _symbol(Days((tuple(days),), "relative"))

    def ago(self, found: Match) -> Symbol:
        return self._shift(self._today(), found.get(1), found.get(2), -1)

    def after(self, found: Match) -> Symbol:
        return self._shift(found.get(3).value, found.get(1), found.get(2), 1)

    def before(self, found: Match) -> Symbol:
        return self._shift(found.get(3).value, found.get(1), found.get(2), -1)

    def on_later(self, found: Match) -> Symbol:
        """Friday in two weeks: the coming one, and two weeks on."""
        return self._shift(found.get(1).value, found.get(2), found.get(3), 1)

    def day_after(self, found: Match) -> Symbol:
        return self._shift_by(found.get(2).value, found.get(1).value, 1)

    def day_before(self, found: Match) -> Symbol:
        return self._shift_by(found.get(2).value, found.get(1).value, -1)

    def weeks_on(self, found: Match) -> Symbol | None:
        """A week on Monday."""
        is_week = found.get(2).text.startswith("week")
        return self._shift(found.get(3).value, found.get(1), found.get(2), 1) if is_week else None

    def week_after(self, found: Match) -> Symbol | None:
        """Monday week, or vendredi en huit."""
        days, later = found.get(1), found.get(2)
        if later.category == "X":
            return self._shift_by(days.value, ("day", 7), 1)
        return self._shift_by(days.value, later.value, 1) if later.text == "week" else None

    def _today(self) -> Days:
        return Days(((self.calendar.local_date,),), "relative")

    def _shift(self, days: Days, number: Symbol, unit: Symbol, sign: int) -> Symbol:
        name, size = unit.value
        return self._shift_by(days, (name, size * number.value), sign)

    def _shift_by(self, days: Days, duration: tuple[str, int], sign: int) -> Symbol:
        name, count = duration
        add = add_months if name == MONTH else add_days

        def shifted(day: date) -> date | None:
            return add(day, sign * count)

        return _symbol(days.map(shifted))

    # A day that takes its month from another #################################

    def borrow(self, found: Match) -> list[Symbol] | None:
        """The 5th or 6th of December."""
        day, between, later = found.get(1), found.get(2), found.get(3)
        if not (lent := self._lend(day, later)):
            return None
        return [lent, between, later]

    def borrow_beyond(self, found: Match) -> list[Symbol] | None:
        """Friday 11 or Saturday 12 December."""
        day, between, weekday, later = (found.get(number) for number in (1, 2, 3, 4))
        if weekday.value.sort != "weekday" or not (lent := self._lend(day, later)):
            return None
        return [lent, between, weekday, later]

    def borrow_back(self, found: Match) -> list[Symbol] | None:
        """December 5 or 6."""
        earlier, between, day = found.get(1), found.get(2), found.get(3)
        if not (lent := self._lend(day, earlier)):
            return None
        return [earlier, between, lent]

    def _lend(self, symbol: Symbol, other: Symbol) -> Symbol | None:
        day = symbol.value.day if symbol.category == "E" else symbol.value
        lender: Days = other.value
        is_alone = symbol.category != "E" or symbol.value.sort == "day"
        if not is_alone or len(lender.months) != 1 or lender.sort == "day":
            return None
        return _symbol(self._complete(lender.months, day, lender.year))


YEAR = "(?:[-,c]{0,2}([yn2Y])(?![PU<>u]))"
NO_YEAR = "()"
THE = "[Teip]?"
NUMBER = "([na23])"


def _rules(*rules: tuple[str, Maker]) -> list[tuple[re.Pattern[str], Maker]]:
    return [(re.compile(pattern), make) for pattern, make in rules]


SINGLE = _rules(
    (r"(y)-?(M)-?([no])(?![UPM\-])", DayRules.year_month_and_day),
    (rf"{THE}([no])\.?-?[ce]*(M)\.?{YEAR}", DayRules.day_and_month),
    (rf"{THE}([no])\.?-?[ce]*(M)\.?{NO_YEAR}", DayRules.day_and_month),
    (rf"(M)[.,-]?{THE}([no]){YEAR}", DayRules.month_and_day),
    (rf"(M)[.,-]?{THE}([no])(?!\.?[UPM]){NO_YEAR}", DayRules.month_and_day),
    (rf"{THE}(D){YEAR}?(?![UMP])", DayRules.figures),
    (rf"{THE}(8)", DayRules.eight_figures),
    (rf"{THE}([no])[ce]*(q)", DayRules.day_in_month),
    (rf"e?L[ce]*(M){YEAR}?", DayRules.last_day),
    (rf"[eT]?([ol])([Wwj])[cepI]*(M){YEAR}?", DayRules.weekday_of_month),
    (rf"[eT]?(n)\.([Wwj])[cepI]*(M){YEAR}?", DayRules.weekday_of_month),
    (r"[eT]?([ol]|n(?=\.))\.?([Wwj])[cepI]*(q)(?!l)", DayRules.weekday_of_this_month),
    (r"[eT]?p?([on])\.?([Wwj])", DayRules.weekday_of_no_month),
    (r"[eTip]*([Wwj])[.,]?[ceTp]*(Q)", DayRules.of_week),
    (r"(Q)[,ceTpf]*([Wwj])", DayRules.week_of),
    (r"[eTi]*s[eT]?([Wwj])", DayRules.coming),
    (r"[eTi]?N[eT]?([Wwj])", DayRules.next),
    (r"[eTi]?l[eT]?([Wwj])", DayRules.last),
    (r"[eTi]?([Wwj])s", DayRules.coming),
    (r"[eTi]?([Wwj])N(?!U)", DayRules.next),
    (r"[eTi]?([Wwj])l", DayRules.last),
    (r"[eTi]?([Wwj])\.?,?(n)(?!\.?[ce]*[MqUPuky])", DayRules.weekday_and_day),
    (r"[eTip]*([Ww])r", DayRules.weekday),
    (r"[eTip]*([Wwj])(?:\.(?=[no8DMT]))?", DayRules.weekday),
    (r"(R)", DayRules.relative),
    (r"(r)", DayRules.relative),
    (r"[Te]p?([o])\.?(?![MUPn])", DayRules.day_of_month),
    (r"T([n])\.?(?![MUPuk])", DayRules.day_of_month),
    (r"[Te]([n])\.(?![MUPu])", DayRules.day_with_point),
    (r"([o])(?![MUPn])", DayRules.doubtful_day_of_month),
)
COMPOSED = _rules(
    (rf"(E)[,e]?I{NUMBER}(U)", DayRules.on_later),
    (r"(E)(X)", DayRules.week_after),
    (rf"I{NUMBER}(U)(?![FBx])", DayRules.idiom),
    (rf"I{NUMBER}(U)(?![FB])x?", DayRules.later),
    (rf"{NUMBER}(U)x", DayRules.later),
    (rf"{NUMBER}(U)[F]c?e?(E)", DayRules.after),
    (rf"{NUMBER}(U)Bc?e?(E)", DayRules.before),
    (rf"{NUMBER}(U)G", DayRules.ago),
    (rf"g{NUMBER}(U)", DayRules.ago),
    (r"e?(U)Fc?e?(E)", DayRules.day_after),
    (r"e?(U)Bc?e?(E)", DayRules.day_before),
    (rf"{NUMBER}(U)[fepT]?(E)", DayRules.weeks_on),
    (r"(E)(U)", DayRules.week_after),
)
BORROWED = _rules(
    (r"[eTp]?([no])\.?([|])[eTp]*(E),?[eTp]*(E)", DayRules.borrow_beyond),
    (r"[eTp]?([noE])\.?([|,])[|,eTp]*(E)", DayRules.borrow),
    (r"(E)([|])[eT]*([noE])\.?(?![UPuk<>])", DayRules.borrow_back),
)
