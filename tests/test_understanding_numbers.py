"""Numbers, ratings, yes and no as guests text them, in conversations over HTTP."""

import pytest

FILE = """
title = "Party"
event = "Party"
language = "{language}"
thanks = "Thanks."
[[questions]]
key = "it"
ask = "It?"
attempts = 10
{question}
[[questions]]
key = "more"
ask = "More?"
"""
YES_NO, NUMBER, RATING = (f'kind = "{kind}"' for kind in ("yes_no", "number", "rating"))
GUESTS = "\n".join([NUMBER, "whole = true", "min = 1", "max = 60"])

READ = [
    ("de", YES_NO, "Klar, wir kommen!", "yes"),
    ("fr", YES_NO, "désolée, je ne peux pas venir", "no"),
    ("en", GUESTS, "just me", "1"),
    ("en", RATING, "4 stars, too loud", "4"),
    ("en", RATING, "⭐⭐⭐⭐", "4"),
    ("en", NUMBER, "4,800", "4800"),
]
ASKED_AGAIN = [
    ("en", YES_NO, "no problem"),
    ("en", YES_NO, "Yes if I get off work"),
    ("en", YES_NO, "yes but I can't"),
    ("en", YES_NO, "yes?"),
    ("it", YES_NO, "perché no"),
    ("en", NUMBER, "at least 4"),
    ("en", NUMBER, "I'll call you at 5"),
    ("en", NUMBER, "half a dozen"),
    ("es", NUMBER, "Mil gracias"),
    ("en", GUESTS, "2 adults and 3 kids"),
    ("en", RATING, "8/10"),
    ("en", RATING, "4.5"),
    ("de", RATING, "1 (sehr gut)"),
]


def converse(serve, folder, language, question, text):
    """The kept answers and the reply, after this text to a question of this kind."""
    for path in (folder / "questionnaires").glob("*.toml"):
        path.unlink()
    content = FILE.format(language=language, question=question)
    (folder / "questionnaires" / "party.toml").write_text(content, "utf-8")
    webhook = serve()
    phone = webhook.phone("+14155550123")
    phone.text("Party")
    reply = phone.text(text)
    return [value for (value,) in webhook.rows("select value from answers")], reply


@pytest.mark.parametrize(("language", "question", "text", "value"), READ)
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_what_a_person_is_certain_of_is_read(serve, folder, language, question, text, value):
    values, reply = converse(serve, folder, language, question, text)
    assert values == [value]
    assert "More?" in str(reply)


@pytest.mark.parametrize(("language", "question", "text"), ASKED_AGAIN)
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_what_may_be_something_else_is_asked_again(serve, folder, language, question, text):
    values, reply = converse(serve, folder, language, question, text)
    assert values == []
    assert "More?" not in str(reply)
