"""The forms of a text: what is a mail signature, and what only looks like one."""

import pytest

from models.text import without_signature

SIGNATURES = (
    "Sent from my iPhone",
    "Sent from my Samsung Galaxy smartphone.",
    "Sent from Yahoo Mail on Android",
    "Get Outlook for iOS",
    "Get Outlook for Android<https://aka.ms/x>",
    "Von meinem iPhone gesendet",
    "Gesendet mit der GMX Mail App",
    "Holen Sie sich Outlook für iOS",
    "Enviado desde mi iPhone",
    "Obtener Outlook para Android",
    "Envoyé de mon iPhone",
    "Télécharger Outlook pour iOS",
    "Inviato da iPhone",
    "Verstuurd vanaf mijn iPhone",
    "Outlook voor iOS downloaden",
    "Enviado do meu iPhone",
    "-- \nJane Porter\nAcme Corp",
    "--\nJane",
    "-- \n\nSent from my iPhone",
)
NO_SIGNATURES = (
    "Blue\nSent from my heart",
    "Blue\nThanks, Anna",
    "Blue -- or green",
    "Blue\n- green\n- red",
    "She said it was sent from my phone",
    "Sent from my iPhone\nis what it says",
    "Get two\nGet a phone call from Bob, who said he would call about the blue one later today",
)


@pytest.mark.parametrize("signature", SIGNATURES)
@pytest.mark.parametrize("line_break", ["\n", "\n\n", "\r\n"])
def test_a_mail_signature_is_removed(signature, line_break):
    assert without_signature(f" Blue{line_break}{signature}\n ") == "Blue"


@pytest.mark.parametrize("text", NO_SIGNATURES)
def test_what_only_looks_like_a_signature_stays(text):
    assert without_signature(f"{text}\n") == text


def test_a_text_that_is_only_a_signature_leaves_nothing():
    assert without_signature("Sent from my iPhone") == ""
