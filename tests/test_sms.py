from conftest import QUESTIONS, THANKS


def test_a_conversation_runs_from_the_first_word_to_the_thanks(phone, webhook):
    said = [phone.text(text) for text in ("Mats BBQ", "Blue", "Pizza 🍕", "Cola", "Yes")]
    assert said == [[words] for words in [*QUESTIONS, THANKS]]
