"""What is no answer to anything: reactions, echoes, nothing; and the words about our texts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pace import is_slow

from models.non_answers import ignored_reason, opt_keyword
from models.text import comparable, normalize, strip_decoration, without_accents

SAID = "Tasty! What about to Drink?"
QUOTED = "Thanks “a lot” for that"

REACTIONS = [
    *(f"{verb} “{SAID}”" for verb in ("Liked", "Loved", "Disliked", "Laughed at", "Emphasized")),
    *(f"{verb} an image" for verb in ("Liked", "Loved", "Questioned", "Emphasised")),
    *("Loved a photo", "Liked a movie", "Laughed at an attachment", "Liked a voice message"),
    *("Questioned “something said long ago”", f'Liked "{SAID}"', f"LIKED “{SAID}”"),
    *(f"Removed {mark} from “{SAID}”" for mark in ("a like", "a heart", "a dislike", "a laugh")),
    *(f"Removed {mark} from “{SAID}”" for mark in ("an exclamation", "a question mark")),
    *("Removed a like from an image", "Removed a heart from a photo"),
    *(f"Reacted 🎉 to “{SAID}”", f"Removed 🎉 from “{SAID}”", f"Reacted with 👍🏽 to “{SAID}”"),
    *(f"Removed a 🎉 reaction from “{SAID}”", f"❤️ to “{SAID}”", f'👍 to "{SAID}"'),
    *(f"👍 to “ {SAID} ”", f"\u200a\u200b👍\u200b to “\u200a{SAID}\u200a” ", f"😂 to “{SAID}” "),
    # Without quotation marks, and in other languages, it is one where it quotes what we said.
    *(f"Liked {SAID}", f"👍 to {SAID}", f"Removed a like from {SAID}"),
    *(f"Le gustó “{SAID}”", f"A aimé « {SAID} »", f"Hat „{SAID}“ mit einem Herz markiert"),
    *("Liked “Tasty! What about to…”", "Liked Tasty! What about…", f"Loved “{QUOTED}”"),
    *(f"Liked “{SAID}\n\nhello”", "Emphasized “a\nb”"),
]
ANSWERS = [
    *("Liked the pizza", "Loved it", "I loved “Jaws”", "Blue", "👍", "❤️", "to you", "👍 to that"),
    *(
        "Liked",
        "Removed",
        "Removed the roof",
        "“Jaws”",
        "Laughed at a joke",
        "Liked an image of it",
    ),
    *("Tasty", "What about to Drink?", "Liked “", "Questioned everything", "Reacted 🎉 to it"),
    *(
        "I liked “Heat” and “Ronin”",
        "Liked Tasty",
        "Loved a…",
        "Disliked the image",
        "Loved 'Jaws'",
    ),
]


@pytest.mark.parametrize("said", REACTIONS)
def test_a_reaction_is_no_answer(said):
    assert ignored_reason(normalize(said), [SAID, QUOTED]) == "reaction"


@pytest.mark.parametrize("said", ANSWERS)
def test_a_text_that_looks_like_a_reaction_is_an_answer(said):
    assert ignored_reason(normalize(said), [SAID, QUOTED]) is None


@pytest.mark.parametrize("said", ["", " ", "\n\t", "\u00a0", "\u200b", "\ufe0f"])
def test_nothing_is_no_answer(said):
    assert ignored_reason(normalize(said), [SAID]) == "empty"


@pytest.mark.parametrize("said", [SAID, SAID.upper(), f" {SAID}\n", "Tasty!  What about to Drink?"])
def test_what_we_said_ourselves_is_no_answer(said):
    assert ignored_reason(normalize(said), [SAID]) == "echo"
    assert ignored_reason(normalize(said)) is None


def test_a_short_text_of_ours_can_be_an_answer():
    assert ignored_reason(normalize("Tea"), ["Tea"]) is None


@pytest.mark.parametrize("said", ["“" * 1600, "Liked “" * 200, "a“" * 800, "👍 to " * 300])
def test_judging_a_long_text_takes_no_time(said):
    assert not is_slow(lambda: ignored_reason(normalize(said), [SAID] * 5))


@pytest.mark.parametrize(
    ("said", "wish"),
    [
        *(
            (word, "stop")
            for word in ("STOP", "stop", " Stop. ", "StopAll", "unsubscribe", "CANCEL")
        ),
        *((word, "stop") for word in ("end", "Quit!", "revoke", "OPTOUT", "ＳＴＯＰ", "STOP 🛑")),
        *((word, "start") for word in ("START", "unstop", "Start!")),
        *((word, "help") for word in ("HELP", "info", "Help?")),
        *(
            (text, None)
            for text in ("stop it", "STOP PLEASE", "the end", "yes", "helpful", "", "?")
        ),
    ],
)
def test_a_word_alone_is_about_our_texts(said, wish):
    assert opt_keyword(strip_decoration(normalize(said))) == wish


def test_twilios_own_reading_goes_first():
    assert opt_keyword(strip_decoration(normalize("basta")), "STOP") == "stop"
    assert opt_keyword(strip_decoration(normalize("JOIN")), "START") == "start"
    assert opt_keyword(strip_decoration(normalize("ayuda")), "HELP") == "help"
    assert opt_keyword(strip_decoration(normalize("STOP")), "START") == "stop"


ASCII = st.text(st.characters(max_codepoint=127), max_size=60)


@given(text=ASCII)
def test_a_text_in_ascii_is_normalized_like_any_other(text):
    longer = normalize(f"x{text}é")  # goes the long way
    assert normalize(f"x{text}x") == f"{longer[:-1]}x"
    assert without_accents(normalize(text)) == normalize(text)


@pytest.mark.parametrize(
    ("text", "form"),
    [
        (" “BACK”! ", "back"),
        ("¡ATRÁS! 👍🏽", "atras"),
        ("ＦＩＸ  ２", "fix 2"),
        ("`Fix\u200b` 2.", "fix' 2"),
        ("🔟", "10"),
        ("?!", "?!"),
        ("", ""),
    ],
)
def test_a_text_is_compared_without_case_accents_and_what_is_around_it(text, form):
    assert comparable(text) == form
