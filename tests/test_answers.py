import re
from datetime import UTC, date, datetime, time

import hypothesis
import phonenumbers
import pytest
from conftest import context_of, examples
from hypothesis import strategies as st
from pace import is_slow

from models import load_catalog
from models.questionnaire.answers import KINDS
from models.questionnaire.loader import read_text

FRIDAY = datetime(2026, 11, 20, 12, tzinfo=UTC)
FILE = (
    'title = "T"\nthanks = "Thanks"\nevent = "{}"\n{}\n[[questions]]\nask = "?"\nkey = "it"\n{}\n'
)

FOOD = """choices = [
    "Pizza", "Café au lait", { value = "fish", say = "Fish and chips", also = ["seafood"] }, "Pasta"
]"""
QUESTIONS = {
    "text": "",
    "text of a length": "min = 2\nmax = 5",
    "text of a pattern": "pattern = '[0-9]{5}|a|bc'",
    "yes_no": 'kind = "yes_no"',
    "yes_no in our words": 'kind = "yes_no"',
    "yes in our word": 'kind = "yes_no"',
    "choice": f'kind = "choice"\n{FOOD}',
    "choice of yes": 'kind = "choice"\nchoices = ["Yes", "No", "Maybe"]',
    "choice of numbers": 'kind = "choice"\nchoices = ["2", "3", "1", "10 or more"]',
    "choice by letters": 'kind = "choice"\nchoices = ["Bacon", "Apple", "Cake"]',
    "choice many": f'kind = "choice"\nmany = true\n{FOOD}',
    "number": 'kind = "number"',
    "age": 'kind = "number"\nmin = 0\nmax = 120\nwhole = true',
    "rating": 'kind = "rating"',
    "rating to 10": 'kind = "rating"\nmin = 0\nmax = 10',
    "number between": 'kind = "number"\nmin = -2.5\nmax = 2.5',
    "date": 'kind = "date"',
    "date day_first": 'kind = "date"\nday_first = true',
    "date in Spanish": 'kind = "date"\nday_first = true',
    "date soon": 'kind = "date"\nearliest = "today"\nlatest = "today+30d"',
    "date past": 'kind = "date"\nlatest = "today-1d"',
    "date of 2027": 'kind = "date"\nearliest = 2027-01-01\nlatest = 2027-12-31',
    "time": 'kind = "time"',
    "time of evening": 'kind = "time"\nearliest = "17:00"\nlatest = "23:00"',
    "time of night": 'kind = "time"\nearliest = "20:00"\nlatest = "02:00"',
    "email": 'kind = "email"',
    "phone": 'kind = "phone"\nregion = "US"',
    "phone anywhere": 'kind = "phone"',
    "phone in Britain": 'kind = "phone"\nregion = "GB"',
    "photo": 'kind = "photo"',
    "location": 'kind = "location"',
}
ABOVE = {
    "yes_no in our words": '[say]\nyes = ["sí", "claro que sí"]\nno = ["nel", "ni modo"]',
    "yes in our word": '[say]\nyes = ["ja"]',
    "date in Spanish": 'language = "es"',
}
LONG = " " * 397

# For each question: rows of a value and the texts that are read as it.
READ = {
    "text": [
        *((text, text) for text in ("hi", "Hi there!", "“Yes”", "1️⃣", "👍", "ｈｉ", "a\nb")),
        ("Hi there!", " Hi there! ", "Hi there!\nSent from my iPhone", "\u00a0Hi there!"),
        ("a" * 1600, "a" * 1600),
        (None, "", " ", "\u00a0", "\n\t ", "\u3000\u2003", "\u200b", "\ufeff \u200b"),
    ],
    "text of a length": [
        *((text, text) for text in ("ab", "abcde", "héé", "👍👍", "a b")),
        ("abcde", "  abcde \n"),
        (None, "a", "  a  ", "abcdef", "a    b", "👍", "   "),
    ],
    "text of a pattern": [
        *((text, text) for text in ("12345", "a", "bc")),
        ("12345", " 12345\n", "\u00a012345", "12345\n-- \nAnna"),
        (None, "1234", "123456", "x12345", "12345 6", "abc", "ac", "12345\n12345", ""),
    ],
    "yes_no": [
        ("yes", "yes", "Yes", "YES", "y", "Y", "yeah", "Yep", "yup", "yea", "ya", "Sure", "ok"),
        ("yes", "OK"),
        ("yes", "okay", "Definitely", "absolutely", "certainly", "Of course", "TRUE", "👍", "✅"),
        ("yes", "yes.", "Yes!!!", "(yes)", "*yes*", "yes…", "“Yes”", "‘yes’", '"yes"', "«yes»"),
        ("yes", "ｙｅｓ", "ＹＥＳ！", " yes ", "yes\n", "\u00a0yes\u00a0", "yes\u200b"),
        ("yes", "\ufeffyes"),
        ("yes", "\u202ayes\u202c", "y\u200des", "yes 👍", "👍 yes", "Yes😀", "👍🏽", "👍🏿"),
        ("yes", "👍\ufe0f"),
        ("yes", "✅\ufe0f", "🎉 ok 🎉", "yes❤️", "of\u00a0course!", "of  course", "¡yes!"),
        ("yes", "- yes"),
        ("yes", "yes please", "Yes, please!", "yes\u00a0please", "ok thanks", "sure, thank you 😊"),
        ("yes", "Yes ma’am", "yes ma'am", "yes maam", "Yes, sir!", "yes of course"),
        ("yes", "yeah, definitely"),
        ("yes", "ok, absolutely", "Yes, I am.", "yes i do", "yes I will", "yes, I would"),
        ("yes", "y i can"),
        ("yes", "Yes we are", "yes we do", "yes, we will!", "YES WE CAN", "yes" + LONG),
        ("no", "no", "No.", "NO!!", "n", "N", "nope", "Nah", "nay", "Never", "false", "👎", "❌"),
        ("no", "👎🏻", "“no”", "ｎｏ", "no\u200b", "No 😢", "❌ no", "NO\u00a0", "~no~"),
        ("no", "❌\ufe0f"),
        ("no", "no thanks", "No, thank you.", "No sorry", "nope, sorry 😔", "no sir", "No ma’am"),
        ("no", "No, I’m not", "no im not", "no i am not", "No, I don’t", "no I don't", "no i dont"),
        ("no", "nope i do not", "No, I won’t!", "no I will not", "no i can’t", "nah, I cannot"),
        ("no", "no we aren’t", "No, we are not", "no we don`t", "no we do not", "no, we won´t"),
        ("no", "no we will not", "no we can't", "no we cannot", "No, not at all!"),
        (
            "yes",
            "oh yes",
            "Yes I'll be there",
            "Yesss",
            "Count me in",
            "yes but late",
            "Sure, why not",
        ),
        ("yes", "Yes. See you there", "Yes! What time?", "I'd love to", "YES YES YES"),
        (
            "no",
            "can't make it",
            "absolutely not",
            "Noooo",
            "No, but thanks",
            "I'd love to but I can't",
        ),
        ("no", "thanks but no thanks", "no sorry, working that day"),
        (None, "no problem", "yes and no", "not sure", "maybe", "no idea", "1", "2", "no kids"),
        (None, "okay, it is not possible", "yes but", "oh no"),
        (None, "yes but I can't", "Yes if I can", "Yes?", "can't wait", "sure is hot", "n/a"),
        (None, "", " ", "\u00a0\n", "yes no", "no yes", "yesno", "not yes", "I think so"),
        (None, "not at all", "thanks", "please", "know", "yes i don't"),
        (None, "no i will"),
        (None, "no please", "yes sorry", "true or false", "why not", "🤷", "😀", "?", "0"),
        (None, "yes" * 50),
        (None, "oui", "sí", "of", "course", "no of course", "yes, I am not", "yes" + LONG + " "),
    ],
    "yes_no in our words": [
        ("yes", "sí", "Sí!", "SÍ", "si\u0301", "“sí”", "sí 👍", "Claro que sí"),
        ("yes", "claro\u00a0que sí.", "sí please"),
        ("no", "nel", "Nel.", "NEL", "ni modo", "ｎｅｌ", "nel 😢", "nel thanks"),
        (None, "yes", "no", "y", "n", "👍", "👎", "ok", "claro", "sí hope so"),
        (None, "sí nel", ""),
    ],
    "yes in our word": [
        ("yes", "ja", "Ja!"),
        ("no", "no", "Nope."),
        (None, "yes", "y", "nein"),
    ],
    "choice": [
        ("Pizza", "Pizza", "pizza", "PIZZA!", "“pizza”", "ＰＩＺＺＡ", "🍕 Pizza 🍕", " pizza\n"),
        ("Pizza", "pizza🍕"),
        ("Pizza", "pizza please", "Pizza, thanks!", "pizza please 🙏", "pi", "piz", "1", "#1"),
        ("Pizza", "1."),
        ("Pizza", "(1)", "1)", "１", "1️⃣", "①", "١", "१", "1!", "1\u200b", "“1”"),
        ("Pizza", "1 pizza", "1) Pizza", "1. pizza", "1️⃣ pizza", "a pizza", "a) pizza"),
        ("Pizza", "A. Pizza", "the pizza", "pizzas", "1st", "one", "Piza", "I'd like pizza"),
        ("Café au lait", "Café au lait", "cafe au lait", "CAFE AU LAIT", "cafe\u0301 au lait"),
        ("Café au lait", "cafe\u00a0au lait", "cafe", "caf", "ca", "2", "#2", "2.", "(2)", "2)"),
        ("Café au lait", "2️⃣", "no. 2", "option 2", "the second one", "c"),
        ("Café au lait", "②", "２", "٢", "2 café au lait"),
        ("fish", "fish", "Fish and chips", "FISH", "seafood", "Sea", "s", "f", "3", "fish and"),
        ("fish", "3)", "chips", "fish or chips"),
        ("fish", "3 fish", "3. Fish and chips", "seafood, please"),
        ("Pasta", "pasta", "pa", "4", "4 Pasta", "PASTA 🍝", "Pasta for me"),
        (None, "p", "5", "0", "e", "12", "99", "1, 3", "1 3", "1 2", "12 pizza", "x"),
        (None, "a", "A", "a)", "A.", "b", "B.", "b)", "d", "d. pasta", "b. Cafe au lait"),
        (None, "pizza and pasta", "pizza or pasta", "I like pizza", "not pizza", "pizza?"),
        (None, "pizza pasta"),
        (None, "1 pasta", "b pizza", "2) Pizza", "d. fish", "c) fish", "1.5", "½", "1/2"),
        (None, "1 or 2", "number 5", "the fifth", "the first two"),
        (None, "", " ", "?", "🍕", "both", "yes", "5 pizza", "1 pizza 2"),
        (None, "pizza" + LONG + LONG),
    ],
    "choice of yes": [
        ("Yes", "yes", "y", "1", "Yes, please", "YES!", "1 yes"),
        ("No", "no", "n", "2", "No thanks", "2) no"),
        ("Maybe", "maybe", "m", "may", "3"),
        (None, "ok", "4", "yes no", "1 no", "👍", "a", "b", "c"),
    ],
    "choice of numbers": [
        ("1", "1", "１", "1️⃣", "one", "c"),
        ("2", "2", "a", "٢", "A)"),
        ("3", "3", "b", "③"),
        ("10 or more", "d", "10 or more", "10 or", "11", "10", "a dozen", "more than 10", "12+"),
        (None, "5", "0", "1 3", "e", "4", "4 10 or more", "not 3", "option 2", "2.5"),
    ],
    "choice by letters": [
        ("Bacon", "1", "ba", "bacon", "b", "B"),
        ("Apple", "ap", "2", "a", "a.", "a apple"),
        ("Cake", "c", "C", "3"),
        (None, "d", "b) apple"),
    ],
    "choice many": [
        ("Pizza", "1", "pizza", "pizza, pizza", "1 1", "1 and pizza", "Pizza please"),
        ("fish", "fish and chips", "Fish and chips, please", "seafood", "3, 3", "3) fish"),
        ("fish", "fish, seafood"),
        ("Pizza, fish", "1, 3", "3,1", "1 3", "3 1", "1 and 3", "1/3", "1+3", "1 & 3", "1;3"),
        ("Pizza, fish", "1\n3"),
        ("Pizza, fish", "1️⃣ 3️⃣", "１ ３", "１，３", "1\u00a03", "١ ٣", "① ③", "1, 3.", "1, 3!"),
        ("Pizza, fish", "“1, 3”", "1 AND 3"),
        ("Pizza, fish", "fish and chips and pizza", "pizza and fish and chips"),
        ("Pizza, fish", "Pizza + Fish and chips"),
        ("Pizza, fish", "pizza & seafood", "pizza, 3", "🍕 pizza, fish 🐟", "1 pizza, 3 fish"),
        ("Pizza, fish", "#1, #3"),
        ("Pizza, Pasta", "pizza and pasta", "Pizza, pasta", "pasta / pizza", "pi, pa"),
        ("Pizza, Pasta", "pizza\npasta", "1) pizza\n4) pasta", "pizza pasta", "1 pizza 4 pasta"),
        ("Pizza, Pasta", "ｐｉｚｚａ and ｐａｓｔａ"),
        ("Pizza, Pasta", "pizza, pasta please", "pizza and pasta, thanks!", "pizza, pasta, please"),
        ("Pizza, Café au lait", "1, two", "no. 1, no. 2", "1, c"),
        ("Pizza, Café au lait, Pasta", "1, 2 and 4", "1 2 4", "pizza, cafe and pasta"),
        ("Pizza, Café au lait, Pasta", "4 2 1"),
        ("Pizza, Café au lait, Pasta", "1, 2, and 4", "1\n2\n4", "1; 2; 4", "1, ca, pasta"),
        ("Pizza, Café au lait, fish", "1-3", "1 to 3", "Pizza - fish"),
        ("Pizza, Café au lait, fish, Pasta", "1,2,3,4", "4 3 2 1", "1, 2, 3 & 4", "all", "all 4"),
        (None, "1 and 5", "pizza and cola", "p, 1", "a c", "none", "all three", "both"),
        (None, "a", "a d", "A, D", "a and d", "d a", "a b d", "1, b, pasta"),
        (None, "13", "1 3 5", "pizza or pasta", "I like 1 and 3", "1 pasta, 3", "all but 2"),
        (None, "0 1"),
        (None, "", " ", ",", "and", "x y", "1 3 pizza", "?"),
        (None, "1, 3" + LONG),
    ],
    "number": [
        ("12", "1️⃣2️⃣"),
        ("1000", "1000", "1,000", "1 000", "1\u00a0000", "1\u202f000", "1'000", "1’000"),
        ("1000", "１０００", "1000.0"),
        ("1000", "$1,000", "1,000 €", "1,000.00", "1.000,00", "1,000 people", "١٠٠٠"),
        ("1000.5", "1,000.50", "1.000,50", "1 000,50", "1 000.5", "1'000.50", "$1,000.50"),
        ("1000.5", "1000.5"),
        ("1000000", "1.000.000", "1,000,000", "1 000 000", "1'000'000", "1000000"),
        ("12345678", "12,345,678", "12.345.678", "12 345 678"),
        ("1.5", "1.5", "1,5", "1.50", "1,50", "１．５", "1.5kg", "€1,5", "1,5 €"),
        ("-5", "-5", "−5", "-5.0", "-5 degrees", "−5!"),
        ("5", "5", "5.", "5!", "(5)", "“5”", "5,", " 5 ", "5\u200b", "5️⃣", "⑤", "٥", "५"),
        ("5", "５", "05.0"),
        ("5", "$5", "5$", "€5", "5€", "5 €", "£5", "¥5", "₹5", "5 people", "5 people!", "5 USD"),
        ("5", "5 😀"),
        ("5", "🎉5🎉", "5kg", "5 kg", "5 please", "5 People please", "*5*", "‘5’", "5…"),
        ("0.5", ".5", "0.5", "0,5", "0.50", ",5"),
        ("-0.5", "-.5", "-0,5"),
        ("0", "0", "0.0", "0€", "0 people"),
        ("0.125", "0.125", "0.1250"),
        ("2.5", "2.5", "2.50", "2,5", "2.500000"),
        ("3", "3.0", "3", "3,00", "3 please"),
        ("24", "24 years old", "24", "24 years", "２４", "24 yo"),
        ("10", "🔟", "10", "⑩"),
        ("1234.567", "1234.567", "1,234.567", "1.234,567"),
        ("999999999999999", "999999999999999", "999,999,999,999,999"),
        (None, "1.000", "12.345", "123.456", "-1.000", "１.000"),
        (None, "3-4", "3 or 4", "3 to 4", "3–4", "1/2", "10 20", "5 5", "3, 4", "3 and 4", "3…4"),
        (None, "5 6 7"),
        ("5", "about 5", "ca. 5", "~5", "5ish", "five", "five people", "We are 5!", "It's five"),
        ("24", "I'm 24", "I’m 24", "24-year-old", "twenty-four", "Twenty four.", "two dozen"),
        ("10", "ten", "10%", "10 %", "10 percent"),
        ("5000", "5k", "5 K", "5 thousand", "five thousand", "5 grand", "fifty hundred"),
        ("2000000", "2 million", "$2M", "two million", "2,000,000 dollars"),
        ("2026", "two thousand and twenty six", "two thousand twenty-six"),
        ("0.5", "½"),
        ("1.5", "1½", "1 ½"),
        (
            None,
            "5M",
            "10% off",
            "5 años",
            "+5",
            "+1.5",
            "1,2345",
            "2,500000",
            "half",
            "one and a half",
        ),
        (
            None,
            "at least 4",
            "up to 6",
            "more than 10",
            "not 5",
            "4?",
            "thanks a million",
            "one moment",
        ),
        (None, "1e5"),
        (None, "v2", "5⅓"),
        (None, "4x"),
        (None, "3 and", "5 or", "5 to", "3 half", "3 point", "5 x", "5 plus", "5+"),
        (None, "5+ people"),
        (None, "5 minus", "5 very nice people", "5 b2b", "2x3", "5*3", "2^3", "5²", "5+3", "12:30"),
        (None, "1:2"),
        (None, "3.4.5", "1..5", "1,,5", "1 00", "1,00,0", "1.000,5.0", "1,000,50", "1'00", "1.5,5"),
        (None, "", " ", "?", "-", "$", ".", "abc", "1000000000000000", "0." + "1" * 16, "1" * 400),
        (None, "5/day"),
        (None, "No 5", "#five", "5" + LONG + "  6", "5@6", "5 & 6", "5 = five"),
        (None, "--5", "+-5"),
    ],
    "age": [
        ("3", "3.0", "3", "3 years", "3,0", "3️⃣", "three", "3,00"),
        ("1", "just me"),
        ("0", "0", "0.0"),
        ("120", "120", "120 years old"),
        (None, "121", "-1", "2.5", "1,5", "1,000", ".5", "120.5", "-0.5", "half"),
    ],
    "rating": [
        ("4", "4", "4!", "4/5", "four out of five", "⭐⭐⭐⭐", "4 stars", "★★★★☆", "4⭐", "4.0"),
        ("4", "a solid 4", "I'd give it a 4", "4, too loud", "4 because it was loud"),
        ("5", "5/5 🎉", "Five stars!", "5 ⭐⭐⭐⭐⭐", "5 from me"),
        (None, "0", "6", "4.5", "4½", "4 and a half", "8/10", "4/6", "great", "👍", "4+", "3-4"),
        (
            None,
            "⭐⭐⭐⭐⭐⭐",
            "3 ⭐⭐⭐⭐⭐",
            "★★★☆",
            "4?",
            "1 (best)",
            "5 hours",
            "5, just kidding",
        ),
        (
            None,
            "1, super!",
            "1 (great)",
            "5, if it was free",
            "4/5 for food, 2/5 for music",
            "3 or 4",
        ),
    ],
    "rating to 10": [
        ("10", "10", "10/10", "ten out of ten", "🔟"),
        ("0", "0", "zero"),
        (None, "11", "5/5", "5 stars", "⭐⭐⭐"),
    ],
    "number between": [
        ("2.5", "2.5", "2,5", "2.50"),
        ("-2.5", "-2.5", "−2,5"),
        ("0", "0"),
        (None, "2.51", "-3", "3", "-2.6", "1000"),
    ],
    "date": [
        ("2027-05-03", "3 May", "May 3rd", "3 May 2027", "3rd of May", "Monday 3 May"),
        ("2027-05-03", "2027-05-03"),
        ("2027-05-03", "May 3", "may 3", "3 MAY", "3rd May", "3 May, 2027", "May 3, 2027"),
        ("2027-05-03", "3 may!"),
        ("2027-05-03", "“3 May”", "3\u00a0May", "３ May", "٣ May", "🎉 3 May 🎉", "3 May\u200b"),
        ("2027-05-03", "the 3rd of May", "3rd of May 2027", "Ｍａｙ ３", "(3 May)"),
        # In English nobody knows which is the day: both are asked about.
        (None, "5/3", "5/3/27", "5.3.2027", "03/05", "3/5", "3/5/27", "3/5/2027", "3.5.2027"),
        (None, "03-05-2027", "０３/０５", "03/05.", "5/3/26", "5/3/2026", "1/2", "01/02/27"),
        ("2026-05-03", "2026-05-03", "3 May 2026", "Sunday 3 May 2026"),
        ("2026-05-03", "２０２６-05-03"),
        ("2027-05-13", "13/05", "05/13", "13/5/27", "13.5.2027", "13-05-2027", "5/13/2027"),
        ("2027-05-13", "13 May", "Thursday the 13th of May of the year 2027"),
        (None, "the 3rd of May the 3rd of May the 3rd of May"),
        ("2026-11-20", "today", "Today!", "tonight", "TODAY", "20 November", "Nov 20", "11/20"),
        ("2026-11-20", "20/11"),
        ("2026-11-21", "tomorrow", "Tomorrow 😊", "in 1 day", "Saturday", "21 Nov", "“tomorrow”"),
        ("2026-11-19", "yesterday", "Yesterday."),
        ("2026-11-23", "in 3 days", "In 3 days!", "Monday", "next monday", "in ３ days"),
        ("2026-11-23", "in three days"),
        ("2026-12-04", "in two weeks", "in 2 weeks", "4 December", "Dec 4th", "In Two Weeks."),
        ("2026-11-27", "next friday", "Next\u00a0Friday"),
        (None, "Friday", "this friday", "FRIDAY!", "friday 🎉"),  # said on a Friday
        ("2026-11-26", "thursday", "this Thursday", "next thursday", "in 6 days"),
        ("2027-11-19", "19 November", "Nov 19"),
        ("2026-12-25", "12/25", "25/12", "25 December", "Dec 25", "25/12/2026", "December 25th"),
        ("2028-02-29", "29 Feb", "Feb 29", "29/2"),
        ("2027-01-02", "2 January"),
        ("2026-12-03", "3rd", "the 3rd"),
        (None, "May", "may", "June", "2027", "3", "31", "5pm", "at 5pm", "17:00"),
        (None, "midnight"),
        (None, "soon", "31 Feb", "29 Feb 2027", "30 February 2028", "31/4", "13/13", "3-4"),
        (None, "I may come"),
        (None, "+14158675308", "415-867-5308", "4158675308", "(415) 867-5308", "415 867 5308"),
        (None, "8675308"),
        (None, "3 or 4 May", "3 and 4 May", "3-5 May", "May 3-5", "3 May - 5 May"),
        (None, "3 May or 4 May", "3, 4 May"),
        (None, "next week", "next month", "next year", "this week", "christmas", "May 2027"),
        (None, "in May", "2 days", "two weeks"),
        (None, "friday or saturday", "monday and tuesday", "tomorrow or friday", "3/5 or 3/6"),
        (None, "2027-02-29"),
        (None, "", "?", "yes", "no", "maybe", "never", "later", "asap", "noon", "5 people", "🎉"),
        (None, "v2"),
        (None, "3 May" + " and I will bring my dog and my two cats along with me" * 2, "0/5"),
        (None, "May 32"),
    ],
    "date day_first": [
        ("2026-12-24", "24.12", "24.12.", "24.12.2026"),
        ("2027-05-03", "03/05", "3/5", "3/5/27", "3.5.2027", "03-05-2027", "2027-05-03", "May 3"),
        ("2027-05-03", "3 May"),
        ("2027-05-13", "13/05", "05/13", "5/13/2027"),
        ("2026-12-01", "2026-12-01", "1/12", "01.12.2026", "1 December"),
        (None, "3-4", "31/02", "31/2/2027", "3"),
    ],
    "date in Spanish": [
        ("2026-11-24", "el martes", "este martes", "Martes 🎉"),
        ("2027-05-03", "3 de mayo", "3 de mayo de 2027", "3 Mayo", "3 May", "May 3rd", "3/5"),
        ("2027-05-03", "3 DE MAYO"),
        ("2026-11-21", "mañana", "MAÑANA", "¡Mañana!", "man\u0303ana", "sábado", "tomorrow"),
        ("2026-11-21", "Saturday"),
        ("2026-11-27", "next friday"),
        (None, "viernes", "Viernes", "Friday"),  # said on a Friday
        ("2026-11-23", "lunes", "lunes 🎉", "Monday", "in 3 days"),
        ("2026-11-22", "domingo", "22 de noviembre", "22 November"),
        ("2026-12-24", "24 diciembre", "24 de diciembre", "24/12"),
        (None, "mayo", "quizás", "3 o 4 de mayo", "31 de febrero", "navidad", "lunes o martes"),
        (None, "no sé"),
    ],
    "date soon": [
        ("2026-11-20", "today", "20 Nov"),
        ("2026-12-20", "20 December", "in 30 days", "12/20", "20 Dec 2026"),
        (None, "yesterday", "21 December", "in 31 days", "3 May", "20 Dec 2027", "2026-11-19"),
        (None, "19 Nov"),
    ],
    "date past": [
        ("2026-05-03", "3 May", "May 3rd"),
        (None, "5/3", "5/3/2026", "5/3/1990"),  # 3 May or 5 March
        ("2026-11-13", "Friday"),
        ("2025-11-20", "20 November", "11/20"),
        ("2024-02-29", "29 Feb"),
        ("1990-05-03", "3 May 1990", "1990-05-03", "May 3, 1990"),
        ("2026-11-19", "yesterday", "19 Nov"),
        (None, "today", "tomorrow", "3 May 2027", "in 3 days", "11/20/2026"),
    ],
    "date of 2027": [
        ("2027-01-01", "1 January", "2027-01-01", "1/1"),
        ("2027-12-31", "12/31/2027", "31 Dec 2027"),
        (None, "31 December 2026", "1 January 2028", "today", "3 May 2028", "20 November", "31/12"),
    ],
    "time": [
        ("14:30", "14:30", "14.30", "2:30pm", "2:30 p.m.", "half past two in the afternoon"),
        (
            "14:30",
            "２：３０ pm",
            "“14:30”",
            "14:30 🎉",
            "around 2:30 pm",
            "tomorrow at 14:30",
            "1430",
        ),
        ("12:00", "noon", "12pm", "Noon!"),
        ("00:00", "midnight", "12am", "24:00", "0:00"),
        ("00:30", "0:30", "12:30 am"),
        (None, "7", "7:30", "half past seven", "at 3", "12", "7 or 8"),  # in the morning or not
        (None, "after 3pm", "3-5pm", "3 to 4pm", "maybe 3pm", "3pm?", "not 3pm", "evening", "now"),
        (None, "25:00", "14:75", "15am", "0pm", "2 hours", "4 people", "in 2 hours", "Dec 5"),
        (None, "", "?", "yes", "5/12", "v2", "room 1430", "3pm EST", "whenever"),
    ],
    "time of evening": [
        ("19:00", "7", "7pm", "seven", "at 7", "19", "19:00"),
        ("19:30", "7:30", "730", "half past seven"),
        (None, "3pm", "7am", "noon", "11:30", "after 7", "16:59", "7 or 8"),
    ],
    "time of night": [
        ("01:00", "1", "1am", "1:00"),
        ("22:00", "10", "10pm", "22:00"),
        (None, "3", "noon", "1pm"),
    ],
    "email": [
        ("anna@example.com", "anna@example.com", "anna@EXAMPLE.com", "it's anna@example.com!"),
        ("anna@example.com", "mailto:anna@example.com", "<anna@example.com>", "“anna@example.com”"),
        ("anna@example.com", "anna@example.com.", "my email is anna@example.com, thanks"),
        ("anna@example.com", "'anna@example.com'"),
        ("anna@example.com", "Anna B <anna@example.com>", "anna＠example．com"),
        ("anna@example.com", "anna@example.com\u200b"),
        ("anna@example.com", "anna@example.com 😊", "anna@example.com😊", "👉anna@example.com"),
        ("anna@example.com", "‘anna@example.com’"),
        ("anna@example.com", " anna@example.com\n", "\u00a0anna@example.com\u00a0"),
        ("anna@example.com", "anna@example.com…"),
        ("anna@example.com", "it’s anna@example.com?", "MAILTO:anna@example.com"),
        ("anna@example.com", "«anna@example.com»"),
        ("anna@example.com", "(anna@example.com)", "ａｎｎａ@example.com"),
        ("anna@example.com", "<mailto:anna@example.com>", "anna@example.com;"),
        ("ANNA@example.org", "ANNA@EXAMPLE.ORG", "ANNA@example.org!!"),
        ("anna.b+c@mail.example.co.uk", "anna.b+c@mail.example.co.uk"),
        ("anna.b+c@mail.example.co.uk", "“anna.b+c@Mail.example.co.uk”."),
        (None, "anna at example dot com", "anna@example", "@anna", "anna@", "@", "anna"),
        (None, "example.com"),
        (None, "anna@example.\u0130"),
        ("anna@example.com", "anna@ example.com", "anna @example.com", "anna @ example.com"),
        ("anna@example.com", "anna@example.com\n-- \nAnna", "anna@example.com anna@example.com"),
        (None, "anna@exam ple.com", "john anna @ example.com", "not anna@example.com", "a@b.c"),
        (None, "anna@gmial.com", "anna@hotmail.con"),
        (None, ""),
        (None, "a@example.com b@example.com", "a@example.com,b@example.com"),
        (None, "a@example.com or @anna"),
        (None, "anna@@example.com", "anna@b@example.com", "anna@example..com", "anna@-example.com"),
        (None, ".anna@example.com", "anna@.com", "no", "I have none", "anna@example.com" + LONG),
    ],
    "phone": [
        ("+14158675308", "(415) 867-5308", "415-867-5308", "415.867.5308", "4158675308"),
        ("+14158675308", "415 867 5308"),
        ("+14158675308", "+1 415 867 5308", "+14158675308", "1-415-867-5308", "+1 (415) 867-5308"),
        ("+14158675308", "４１５８６７５３０８", "＋１４１５８６７５３０８", "٤١٥٨٦٧٥٣٠٨"),
        ("+14158675308", "415\u00a0867\u00a05308", "(415)8675308"),
        ("+14158675308", "415–867–5308", "415‑867‑5308", "415‐867‐5308", "415—867—5308"),
        ("+14158675308", "415−867−5308"),
        ("+14158675308", "\u202a+1 415-867-5308\u202c", "☎ 415-867-5308", "📞+14158675308"),
        ("+14158675308", "415-867-5308 😀"),
        ("+14158675308", "“415-867-5308”", "415 867 5308.", "415-867-5308!", "4158675308\u200b"),
        ("+14158675308", " 4158675308\n"),
        ("+14158675308", "4️⃣1️⃣5️⃣8️⃣6️⃣7️⃣5️⃣3️⃣0️⃣8️⃣", "（415）867-5308"),
        ("+442070313000", "+44 20 7031 3000", "+44 (20) 7031-3000", "+442070313000"),
        (None, "415-867-5308 x12", "415 867 5308 ext. 5", "8675308", "123", "415-867-530"),
        (None, "415-867-53089"),
        ("+14158675308", "call 415-867-5308", "my number is 415 867 5308", "415-867-5308, thanks"),
        (None, "not 415-867-5308", "415-867-5308 / 5309", "1-800-FLOWERS", "+1", "no"),
        (None, "911", ""),
        (None, "4158675308 4158675309", "4158675308/4158675309", "+14158675308 +14158675309"),
        (None, "++++"),
        (None, "+14158675308 or +14158675309", "555-555-5555", "+99 123 456 789", "(000) 000-0000"),
        (None, "?"),
        (None, "this number", "4158675308;ext=5", "anna@example.com", "4158675308" + LONG),
        (None, "415-867-5308 #12", "020 7031 3000"),
    ],
    "phone anywhere": [
        ("+442070313000", "+44 20 7031 3000", "+442070313000", "＋44 20 7031 3000"),
        ("+14158675308", "+1 (415) 867-5308", "+14158675308", "“+1 415 867 5308”"),
        (None, "4158675308", "020 7031 3000", "14158675308", "+1 415", "no", "442070313000"),
    ],
    "phone in Britain": [
        ("+442070313000", "020 7031 3000", "(020) 7031-3000", "+44 20 7031 3000"),
        ("+447911123456", "07911 123456", "０７９１１ 123456"),
        ("+14158675308", "+14158675308"),
        (None, "415 867 5308", "7031 3000", "0"),
    ],
    "photo": [
        (None, "photo", "here it is", "yes", "https://example.org/1.jpg", "📷", "", " ", "1"),
    ],
    "location": [
        ("52.5163,13.3777", "52.5163, 13.3777", "52.5163 13.3777", "geo:52.5163,13.3777"),
        ("52.5163,13.3777", "https://maps.google.com/?q=52.5163,13.3777", "(52.5163,13.3777)"),
        ("52.5163,13.3777", "https://www.google.co.uk/maps/search/52.5163,+13.3777"),
        ("52.5163,13.3777", "https://www.google.de/maps/place/X/@1.5,2.5,3z/!3d52.5163!4d13.3777"),
        ("52.5163,13.3777", "See https://maps.apple.com/?ll=52.5163,13.3777&q=X!"),
        ("52.5163,13.3777", "＋52.5163, 13.3777"),
        ("-33.8568,151.2153", "geo:0,0?q=-33.8568,151.2153(Opera House)", "-33.8568,151.2153"),
        (None, "here", "", "52.5163", "52 13", "52.5163,193.3777", "https://goo.gl/maps/abc"),
        (None, "https://www.google.com/maps/@52.5163,13.3777,17z", "https://maps.google.com/"),
        (None, "https://maps.google.com.example.org/?q=52.5163,13.3777", "https://[/?q=52.5,13.3"),
        (None, "not https://maps.google.com/?q=52.5163,13.3777", "https://example.org/?q=1.5,2.5"),
    ],
}
CASES = [
    (name, text, value) for name, rows in READ.items() for value, *texts in rows for text in texts
]


@pytest.fixture(scope="module")
def read(tmp_path_factory):
    """`read(name, text, media)`: what a question makes of a text on Friday 20 November 2026."""
    directory = tmp_path_factory.mktemp("questionnaires")
    for name, question in QUESTIONS.items():
        content = FILE.format(name, ABOVE.get(name, ""), question)
        (directory / f"{name}.toml").write_text(content, "utf-8")
    loaded = load_catalog(directory)
    return lambda name, text, media=(): read_it(loaded[name], text, media)


def read_it(questionnaire, text, media=()):
    question, context = questionnaire.by_key["it"], context_of(questionnaire, FRIDAY)
    return KINDS[question.kind].read(question, text, context, media).value


@pytest.mark.parametrize("name", QUESTIONS)
def test_a_text_is_read_as_it_is_meant_or_not_at_all(read, name):
    cases = [(text, value) for question, text, value in CASES if question == name]
    found = [(text, read(name, text), value) for text, value in cases]
    wrong = [
        f"{text!r} -> {value!r}, not {meant!r}" for text, value, meant in found if value != meant
    ]
    assert not wrong, "\n".join(wrong)


def test_the_table_is_long_and_says_nothing_twice():
    asked = [(name, text) for name, text, _ in CASES]
    assert len(asked) >= 300
    assert sum(value is None for *_, value in CASES) >= 50
    assert len(set(asked)) == len(asked)
    assert READ.keys() == QUESTIONS.keys()


@pytest.mark.parametrize(
    ("zone", "today"), [("Pacific/Auckland", "2026-11-21"), ("America/Los_Angeles", "2026-11-20")]
)
def test_today_is_the_day_where_the_questionnaire_is_at_home(tmp_path, zone, today):
    content = FILE.format("it", f'timezone = "{zone}"', 'kind = "date"')
    (tmp_path / "it.toml").write_text(content, "utf-8")
    assert read_it(load_catalog(tmp_path)["it"], "today") == today


@pytest.mark.parametrize("text", ["", "Here it is", "👍"])
def test_a_photo_is_read_as_its_addresses_whatever_is_said(read, text):
    assert read("photo", text, ["https://example.org/1"]) == "https://example.org/1"
    two = ["https://example.org/1", "https://example.org/2"]
    assert read("photo", text, two) == "https://example.org/1 https://example.org/2"


def test_as_many_photos_as_a_message_can_bring_are_read(read):
    links = [f"https://api.twilio.com/{'x' * 140}/{n}" for n in range(10)]
    assert read("photo", "", links) == " ".join(links)


HUGE = ["((a{1000}){1000}){1000}", "a{1000000000}", "a{,200000}", "(a|bc{400}){400}"]


@pytest.mark.parametrize("pattern", HUGE)
def test_a_pattern_that_would_take_all_memory_is_refused(pattern):
    content = FILE.format("it", "", f"pattern = '{pattern}'")
    _, problems = read_text(content)
    assert [each.sentence for each in problems] == [
        "is not a regular expression: it repeats too much. Correct it."
    ]


@pytest.mark.parametrize(
    "pattern", ["[]{9}]{999}", r"\({999}", ".{1,1600}", "a{9", "(a{9}|b){999}"]
)
def test_a_pattern_that_repeats_is_allowed(pattern):
    assert read_text(FILE.format("it", "", f"pattern = '{pattern}'"))[1] == []


@pytest.mark.parametrize("pattern", ["(a+)+$", "(a|aa)+", "(.*a){20}b", "(a*)*b"])
def test_a_pattern_that_never_ends_is_not_read_and_keeps_nobody_waiting(tmp_path, pattern):
    content = FILE.format("it", "", f"pattern = '{pattern}'")
    (tmp_path / "it.toml").write_text(content, "utf-8")
    questionnaire = load_catalog(tmp_path)["it"]
    text = "a" * 59 + "!"
    assert read_it(questionnaire, text) is None
    assert not is_slow(read_it, questionnaire, text)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("choice many", "pizza and " * 39 + "x"),
        ("choice many", "and " * 100),
        ("choice many", "1 " * 199 + "x"),
        ("number", "1 " * 200),
        ("number", "1,000" * 80),
        ("email", "<" * 399 + "@"),
        ("date", "3 May " * 10),
        ("yes_no", "yes no " * 57),
    ],
)
def test_a_text_that_repeats_itself_keeps_nobody_waiting(read, name, text):
    assert read(name, text) is None
    assert not is_slow(read, name, text)


PIECES = [
    *"0123456789,.'’\u00a0 -−+/:;#()%$€@&?!“”１②٣½²ßİ😀<>\u200b\u202a\u0301\n",
    *("4\ufe0f\u20e3", "👍🏽", "29 Feb", "1,000", "2.50", ".000", "13/05", "2026-11-21", "2027"),
    *"yes no please thanks not and AND or pizza Café fish chips years k 99999".split(),
    *"May mayo december Friday viernes mañana today in next days 3rd ago".split(),
    *"anna @example.com mailto: xn-- +1 +44 415 867-5308 ext".split(),
]
MIXED = st.lists(st.sampled_from(PIECES) | st.characters(codec="utf-8"), max_size=12)
SPACED = st.builds(str.join, st.sampled_from(["", " "]), MIXED)
LONGER = st.builds(lambda text, times: (text * times)[:1600], SPACED, st.integers(2, 1600))
TEXTS = SPACED | st.text(max_size=1600) | LONGER


def nearly_read(name):
    """Texts of the table with something in them, or nothing."""
    texts = st.sampled_from([text for asked, text, _ in CASES if asked == name])
    places = st.integers(0, 20)
    return st.builds(lambda text, at, more: text[:at] + more + text[at:], texts, places, SPACED)


DATES = {"date soon": ("2026-11-20", "2026-12-20"), "date past": ("0001-01-01", "2026-11-19")}
DATES["date of 2027"] = ("2027-01-01", "2027-12-31")
VALUES = {
    "choice": ["Pizza", "Café au lait", "fish", "Pasta"],
    "choice of yes": ["Yes", "No", "Maybe"],
}
VALUES |= {"choice of numbers": ["2", "3", "1", "10 or more"]}
VALUES |= {"choice by letters": ["Bacon", "Apple", "Cake"]}


def is_plain_number(read, name, value):
    could_be_thousands = re.fullmatch(r"-?[1-9]\d{0,2}\.\d{3}", value)
    is_plain = re.fullmatch(r"-?(0|[1-9]\d*)(\.\d*[1-9])?", value)
    return is_plain and read(name, value + "0" if could_be_thousands else value) == value


def is_choice(read, name, value):
    if name != "choice many":
        return value in VALUES[name]
    chosen = value.split(", ")
    return chosen == [one for one in VALUES["choice"] if one in chosen]


def is_date(read, name, value):
    least, most = DATES.get(name, ("0001-01-01", "9999-12-31"))
    return date.fromisoformat(value).isoformat() == value and least <= value <= most


def is_time(read, name, value):
    least, most = {"time of evening": ("17:00", "23:00")}.get(name, ("00:00", "23:59"))
    is_night = name != "time of night" or not "02:00" < value < "20:00"
    return f"{time.fromisoformat(value):%H:%M}" == value and least <= value <= most and is_night


def is_phone(read, name, value):
    number = phonenumbers.parse(value)
    in_full = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
    return phonenumbers.is_valid_number(number) and in_full == value


def is_place(read, name, value):
    """A pin may be anywhere, though a pair like 0,0 is read only from a link."""
    latitude, longitude = re.fullmatch(r"(-?[0-9.]+),(-?[0-9.]+)", value).groups()
    return abs(float(latitude)) <= 90 and abs(float(longitude)) <= 180


SHAPES = {
    "text": lambda read, name, value: read(name, value) == value,
    "yes_no": lambda read, name, value: value in ("yes", "no"),
    "yes": lambda read, name, value: value in ("yes", "no"),
    "choice": is_choice,
    "number": is_plain_number,
    "rating": lambda read, name, value: read(name, value) == value and 0 <= int(value) <= 10,
    "age": lambda read, name, value: value.isdecimal() and 0 <= int(value) <= 120,
    "date": is_date,
    "time": is_time,
    "email": lambda read, name, value: read(name, value) == value,
    "phone": is_phone,
    "photo": lambda read, name, value: False,
    "location": is_place,
}


@pytest.mark.parametrize("name", QUESTIONS)
@hypothesis.settings(max_examples=examples(20, 100), deadline=None, database=None)
@hypothesis.given(data=st.data())
def test_any_text_is_read_in_the_shape_of_its_kind_or_not_at_all(read, name, data):
    text = data.draw(TEXTS | nearly_read(name))
    value = read(name, text)
    assert read(name, text) == value
    assert value is None or SHAPES[name.split()[0]](read, name, value)
