"""Texts to a question of each kind: read for certain, hardly, or not at all."""

from collections.abc import Sequence

AFTER_YES = (
    "please", "thanks", "thank you", "of course", "definitely", "absolutely", "sir", "maam", "i am",
    "i do", "i will", "i would", "i can", "we are", "we do", "we will", "we can", "i have",
)  # fmt: skip
AFTER_NO = (
    "thanks", "thank you", "sorry", "sir", "maam", "not at all", "i dont", "we do not", "i wont",
    "we will not", "i cant", "we cannot", "im not", "i am not", "we arent", "we are not", "we isnt",
)  # fmt: skip
MAGNITUDES = (
    "and", "or", "to", "k", "m", "hundred", "thousand", "million", "billion", "dozen", "half",
    "point", "percent", "x", "plus", "minus",
)  # fmt: skip
TEXTS: dict[str, Sequence[str]] = {
    "text": (
        "Blue", "ab", "abc", "abcdef", "  pad  ", "Abc", "Äöü", "aab", "a" * 26 + "!", "a" * 40,
        "12345678", "👍", "é", "yes", "NO!", "B 42", "X1", "A\u200bB", "\u200b", "q" * 401, "ok",
        "FIX 1", "1",
    ),
    "yes_no": (
        "yes", "Y", "yeah!", "Yep.", "sure thing", "of course", "Yes, please", "yes of course",
        "yes I will", "YES!!! 🎉", "👍", "👍🏽", "✅", "ok", "okay thanks", "Ya", "true", "no", "N",
        "Nope", "no thanks", "No, sorry!", "no I can't", "No we won’t", "no I am not", "never",
        "👎", "❌", "no problem", "maybe", "yes no", "yes but", "not sure", "1", "y e s",
        "ＹＥＳ", "yés", "“yes”", "(yes)", "yes sir", "Yes ma'am", "no; thank you", "nah.", "n/a",
        "y" * 401, "", "si", "oui", "absolutely definitely", "it is true", "?", "no not at all",
        "...", "yes, i   do", "yup", "yea", "okay", "definitely", "certainly", "nay", "false",
        *[f"yes {tail}" for tail in AFTER_YES], *[f"no {tail}" for tail in AFTER_NO],
    ),
    "choice": (
        "1", "2", "#3", "4", "0", "99", "a", "B", "c)", "d.", "z", "1) Pizza", "2 Pasta",
        "1: Pasta", "a pizza", "pizza", "PIZZA!!", "P", "Pi", "Pizza please", "pasta, thanks",
        "Salad", "vegan", "Greens, please", "veg", "salat", "salami", "fish and chips",
        "fish & chips and cola", "Fish", "pizza and fish and chips", "1 2", "1,2", "1 3 5", "1+2",
        "2/3", "a b", "a and c", "1 and", "and 2", "gin & tonic", "rum/coke", "Gin", "A+", "a +",
        "A-", "A", "+", "b later", "10", "10 to 12", "12", "2 pm", "2", "C#", "C++", "c",
        "objective", "Cafe au lait", "creme", "strasse", "abc", "ABC", "👍", "👍🏿", "***", "*",
        "salt and pepper", "salt and pepper and salt", "rock and roll", "rock and roll and soul",
        "pepper and salt", "a, b, c, d", "abcd", "dcba", "d c b a", "1;2\n3", "1, 9", "Red", "bl",
        "S", "M", "tea and", "cola tea", "x" * 401, "?", ", thanks", "１", "1️⃣", "①",
        "Pizza, and cola", "& 1", "not pizza", "1 pizza and 2 cola", "Tea; coffee", ",", "and",
    ),
    "number": (
        "4", "four", "4️⃣ people", "1.000", "1,000", "37,5 years", "-3", "- 3", "+7", "²", "x²",
        "12 or 13", "$5", "5 €", "€ 1.234,56", "1,234.56", "1'234'567", "1 234", "1 000 000",
        "12 34", "0", "-0", "00", "007", "0.50", ".5", ",5", "5.", "1e5", "٣", "１２", "🔟", "5 👍",
        "\"6\"", "(7)", "8!", "9 people", "9 or more people", "3k", "2 dozen", "1 million", "half",
        "50%", "50 percent", "1/2", "1-2", "5 minus", "1.5.2", "1,2,3", "1,23,456",
        "123456789012345", "1234567890123456", "0.000000000000001", "1.10", "100.5", "5.5", "5.51",
        "-5.5", "-5.6", "101", "3 beers please", "a 3", "#3", "₹ 20", "20 £ 3", "1\u00a0000",
        "1\u202f000", "3,", "..3", "--3", "+-3", "3+", "NaN", "inf", "", "7" * 401, "4 kg", "9 x 9",
        "½", "10,000.0", "1.000.000", "1.234,5", "12.345", "1,5", "0,5", "0.500",
        *[f"2 {word}" for word in MAGNITUDES],
    ),
    "date": (
        "today", "tomorrow", "yesterday", "next Tuesday", "tuesday", "Fri", "this friday",
        "on Monday", "in 3 days", "3 days ago", "24 December", "Dec 24", "24/12", "12/24", "03/05",
        "3.5.", "3.5", "24.12.2026", "2026-12-24", "2026-02-30", "12/24/2026", "24/12/26",
        "1 January 2027", "1 Jan", "May", "March", "1st of March", "3 May 1999", "2027", "5",
        "12:30", "tomorrow 5pm", "24-12", "10 - 12 December", "next week", "midnight", "in a year",
        "29 February", "heute", "mañana", "el lunes", "Dec 24!", "📅 24 Dec", "never", "someday",
        "x" * 61, "x" * 401, "31 November", "32 December", "0/0", "29/02/", "20/11/2026",
        "19/11/2026", "two days from now", "the 24th", "24th", "now", "Christmas", "11.12",
        "11.12.", "23/12/2028", "MAY 3RD", "28 Feb 2027", "1 March 2027", "noon", "on 2026-12-24",
        "3 de mayo",
    ),
    "email": (
        "anna@example.com", "Anna@Example.COM", "it's Anna@Example.com!",
        "mailto:a.b+c@example.co.uk", "<a@example.org>", "a@example.org.", "a@b", "a b@example.org",
        "a@example.org b@example.org", "anna at example dot com", "@", "a@", "@example.org",
        "ünï@exämple.de", "a@example..org", "\"a b\"@example.org", "a@example.org,",
        "(a@example.org)", "a＠example.org", "a\u200b@example.org", "🙂a@example.org🙂",
        "a@localhost", "a@127.0.0.1", "a@-example.org", "mail: a@example.org", "",
        "x" * 65 + "@example.org", "x" * 401, "a’b@example.org", "a@EXAMPLE.рф",
    ),
    "phone": (
        "(415) 867-5308", "415-867-5308", "4158675308", "+1 415 867 5308", "1 415 867 5308",
        "tel:+14158675308", "+49 30 901820", "030 901820", "0049 30 901820", "020 7946 0958",
        "+44 20 7946 0958", "911", "12345", "555-0100", "call me", "+", "+999 123",
        "415 867 5308 ext 2", "４１５８６７５３０８", "4️⃣15 867 5308", "415.867.5308",
        "415 867 5308 🙂", "\"415 867 5308\"", "+1 (415) 867/5308", "0" * 30, "",
        "٤١٥٨٦٧٥٣٠٨", "+14158675308.", "it's 415 867 5308", "x" * 401, "tel:", "( )",
    ),
    "photo": ("here", "", "?"),
}  # fmt: skip
