"""The page of the questionnaire files, and the posters."""

import json
import re
from html import unescape
from pathlib import Path
from urllib.parse import unquote_to_bytes

import pytest
import segno
from browsing import CORPUS, Browser, elements, evils, one_database, rows
from conftest import NUMBER, REY, STRANGER, invoke
from sqlalchemy import text

from console.qr_code import BORDER, MAX_BYTES, draw_qr_code
from models.plan import MAX_OPEN
from models.questionnaire.costs import CostReport
from models.reports.poster import sms_link, whatsapp_link

QUIZ = """
title = "Quiz"
event = "Quiz"
to = ["+14155550100", "whatsapp:+14155550199"]
thanks = "Thanks."
[[questions]]
ask = "Which colour?"
"""


def words(page: str) -> str:
    """What a page says, without its tags."""
    return " ".join(unescape(re.sub("<[^>]+>", " ", page)).split())


def section(page: str, name: str) -> str:
    """What it says of one file."""
    (found,) = (each for each in page.split("<section")[1:] if f">{name}.toml<" in each)
    return words(found.partition("</section>")[0])


@pytest.fixture
def quiz(questionnaires) -> Path:
    path = questionnaires / "quiz.toml"
    path.write_text(QUIZ, "utf-8")
    return path


def edit(webhook, path: Path, content: str) -> None:
    path.write_text(content, "utf-8")
    webhook.app.files.look(at_once=True)


# The files ###################################################################


@one_database
def test_each_file_says_what_opens_it_and_what_it_costs(quiz, webhook, operator):
    page = operator.get("/console/files").body
    found = section(page, "quiz")
    assert "Opened by “Quiz”" in found
    assert "On +14155550100, whatsapp:+14155550199" in found
    assert "A completed conversation: 4 texts both ways, 4 segments" in found
    digest = dict(webhook.app.files.current.catalog)["quiz"].digest
    assert f"version {digest[:12]} new, no conversation has used it yet" in found
    assert "check finds nothing" in found
    assert "Opened by any text On every number" in section(page, "feedback")


@one_database
def test_a_price_shows_the_costs_that_check_has(quiz, webhook, operator, folder, environ):
    printed = invoke(folder, environ, "check", "--price", "0.0083").stdout
    page = operator.get("/console/files?price=0.0083").body
    for name in ("quiz", "feedback", "counter"):
        block = printed.partition(f"{name}: ")[2].partition("\n\n")[0]
        assert block.splitlines()[-1].strip() in section(page, name)


@one_database
@pytest.mark.parametrize("price", ["x", "-1", "nan", "inf", "1e999", "\u0663x", "9" * 400])
def test_a_price_that_makes_no_sense_counts_as_none(webhook, operator, price):
    page = operator.get(f"/console/files?price={price}")
    assert (page.status, " each" in words(page.body)) == (200, False)


@one_database
def test_the_texts_are_shown_with_their_segments(quiz, webhook, operator):
    catalog = webhook.app.files.current.catalog
    names = set(webhook.app.files.current.people.values())
    found = section(operator.get("/console/files").body, "quiz")
    sent = CostReport.of(catalog["quiz"], names, webhook.clock().date()).texts
    assert sent
    for each in sent:
        where = f"{each.template.location} {each.encoding} {each.segments}"
        assert f"{' '.join(each.text.split())} {where}" in found


def test_conversations_on_older_versions_are_counted_by_their_question(quiz, webhook, operator):
    webhook.phone(REY).text("Quiz")
    webhook.phone(STRANGER).text("Quiz")
    before = section(operator.get("/console/files").body, "quiz")
    assert "as it is in use" in before and "Open on older versions 0" in before
    edit(webhook, quiz, QUIZ.replace("colour", "dish"))
    found = section(operator.get("/console/files").body, "quiz")
    assert "changed for new conversations" in found
    assert "Open on older versions 2 Question1: 2" in found
    assert "Question1 reworded: Which colour? -> Which dish?" in found
    webhook.phone("+14158675310").text("Quiz")
    found = section(operator.get("/console/files").body, "quiz")
    assert "as it is in use" in found and "Open on older versions 2" in found


@one_database
def test_only_so_many_open_conversations_are_counted(quiz, webhook, operator):
    webhook.phone(REY).text("Quiz")
    columns = "questionnaire_id, event, state, asking, unread, message_count, started_at, active_at"
    copy = f"""INSERT INTO conversations (token, sender, number, {columns}, expires_at)
        WITH RECURSIVE n(i) AS (SELECT :first UNION ALL SELECT i + 1 FROM n WHERE i < :last)
        SELECT 'token' || i, sender, '+1' || i, {columns}, '2030-01-01T00:00:00.000000Z'
        FROM conversations, n WHERE conversations.id = 1"""
    edit(webhook, quiz, QUIZ.replace("colour", "dish"))
    for first, last in ((2, MAX_OPEN - 1), (MAX_OPEN, MAX_OPEN + 1)):
        numbers = {"first": first, "last": last}
        webhook.app.database.write(lambda db, numbers=numbers: db.execute(text(copy), numbers))
        page = operator.get("/console/files").body
        count = min(last, MAX_OPEN)
        assert f"Open on older versions {count} Question1: {count}" in section(page, "quiz")
        assert ("counted among the 10000" in words(page)) == (last > MAX_OPEN)


@one_database
def test_a_file_that_is_removed_is_told_of_while_conversations_go_on(quiz, webhook, operator):
    webhook.phone(REY).text("Quiz")
    quiz.unlink()
    webhook.app.files.look(at_once=True)
    page = words(operator.get("/console/files").body)
    assert (
        "quiz has no file any more, so nothing opens it. Open conversations that go on: 1" in page
    )


@one_database
def test_errors_are_shown_in_the_words_of_check(quiz, webhook, operator, folder, environ):
    edit(webhook, quiz, QUIZ.replace("ask =", "aks =").replace('"Quiz"\nto', '"STOP"\nto'))
    told = invoke(folder, environ, "check").stderr.splitlines()
    assert len(told) == 3
    page = operator.get("/console/files").body
    assert "nothing of them is taken" in page
    found = section(page, "quiz")
    for line in told:
        assert f"error {line.partition('quiz.toml: ')[2]}" in found
    assert "Opened by “Quiz”" in found  # as it is in use


@one_database
def test_what_an_edit_would_change_is_shown_while_another_file_keeps_it_back(
    quiz, questionnaires, webhook, operator
):
    (questionnaires / "new.toml").write_text(QUIZ.replace("Quiz", "Other"), "utf-8")
    (questionnaires / "bad.toml").write_text("title = 1", "utf-8")
    edit(webhook, quiz, QUIZ.replace("colour", "dish"))
    page = operator.get("/console/files").body
    assert "Question1 reworded: Which colour? -> Which dish?" in section(page, "quiz")
    assert "In use no" in section(page, "new")
    assert "bad.toml: title: Expected `str`, got `int`" in words(page)
    assert "/console/files/quiz/poster" in page
    assert "/console/files/new/poster" not in page


@one_database
def test_mistakes_of_people_toml_and_of_two_files_are_shown(
    quiz, questionnaires, webhook, operator
):
    people = webhook.app.settings.people
    people.write_text("x = 1", "utf-8")
    edit(webhook, questionnaires / "twin.toml", QUIZ)
    page = words(operator.get("/console/files").body)
    assert f"error SMSCONVO_PEOPLE: {people}: line 1: write each line as" in page
    assert 'quiz.toml and twin.toml: the text "Quiz" opens both.' in page


@one_database
def test_a_folder_that_is_away_leaves_the_page(quiz, webhook, operator, questionnaires):
    questionnaires.rename(questionnaires.with_name("away"))
    webhook.app.files.look(at_once=True)
    page = operator.get("/console/files")
    assert page.status == 200
    assert "cannot be read: No such file or directory." in words(page.body)
    assert "Opened by “Quiz”" in section(page.body, "quiz")


@one_database
def test_many_warnings_are_folded_and_no_error_is(quiz, webhook, operator):
    warned = QUIZ.replace("Which colour?", "ąćęłńśź")
    edit(webhook, quiz, warned)
    page = operator.get("/console/files").body
    assert "2 more" in words(page) and words(page).count("makes it UCS-2") == 7
    edit(webhook, quiz, warned + "".join(f"x{n} = 1\n" for n in range(7)))
    shown = operator.get("/console/files").body.partition("2 more")[0]
    assert shown.count(">error<") == 7


@one_database
def test_files_are_examined_once_until_they_change(quiz, webhook, operator, patch):
    operator.get("/console/files")
    patch("models.questionnaire.loader", "examine", None)
    assert operator.get("/console/files").status == 200
    edit(webhook, quiz, QUIZ.replace("colour", "dish"))
    assert operator.get("/console/files").status == 500


@one_database
def test_rows_that_cannot_be_read_leave_the_page(quiz, webhook, operator):
    webhook.phone(REY).text("Quiz")
    app = webhook.app
    for (name,) in rows(app, "SELECT name FROM sqlite_master WHERE type = 'trigger'"):
        app.database.write(lambda db, name=name: db.execute(text(f"DROP TRIGGER {name}")))
    spoil = text("UPDATE questionnaires SET definition = 'x', created_at = 'x'")
    app.database.write(lambda db: db.execute(spoil))
    assert operator.get("/console/files").status == 200
    assert any(row.table == "questionnaires" for row in app.database.unreadable)


# The poster ##################################################################


def codes(page: str) -> list[str]:
    """The paths of the QR codes."""
    return re.findall(r'<path d="([^"]+)"', page)


def as_path(link: str) -> str:
    return draw_qr_code(link).path


@one_database
def test_a_poster_has_the_word_the_numbers_and_a_code_for_each(quiz, webhook, operator):
    page = operator.get("/console/files/quiz/poster").body
    assert "Text Quiz to +1 415-555-0100 Text message +1 415-555-0199 WhatsApp" in words(page)
    links = "sms:+14155550100?&body=Quiz", "https://wa.me/14155550199?text=Quiz"
    assert codes(page) == list(map(as_path, links))


def test_a_file_without_numbers_takes_those_that_were_texted(webhook, operator):
    page = operator.get("/console/files/feedback/poster").body
    assert "No number is known yet" in page and codes(page) == []
    webhook.phone(REY).text("hello")
    webhook.phone(f"whatsapp:{STRANGER}", f"whatsapp:{NUMBER}").text("hello")
    webhook.phone("messenger:1", "messenger:2").text("hello")
    page = operator.get("/console/files/feedback/poster").body
    assert "Text anything to" in words(page)
    digits = NUMBER.removeprefix("+")
    assert codes(page) == list(map(as_path, (f"sms:{NUMBER}", f"https://wa.me/{digits}")))
    assert REY not in page and STRANGER not in page


@pytest.mark.parametrize(
    "name", ["none", "quiz.toml", "QUIZ", "..", "quiz%00", "../quiz", "quiz/", "q" * 5000, "%", "é"]
)
@one_database
def test_the_poster_of_no_questionnaire_is_no_page(quiz, webhook, operator, name):
    assert operator.get(f"/console/files/{name}/poster").status == 404


@one_database
@pytest.mark.parametrize("evil", [*CORPUS, "&body=x", "+1?#%26 /\\", "ü 🍖", "\u202eשלום"])
def test_a_hostile_file_harms_nobody(questionnaires, serve, evil):
    evil = re.sub("[{}\0]", "", evil)
    given = json.dumps(evil, ensure_ascii=False)
    name = re.sub("[/?]", "_", evil)  # as no file can be named, and as `Browser` cuts addresses
    hostile = QUIZ.replace('"Quiz"', given).replace('"Which colour?"', given)
    (questionnaires / f"{name}.toml").write_text(hostile, "utf-8")
    app = serve().app
    browser = Browser(app)
    browser.enter()
    files = browser.get("/console/files").body
    assert evils(files) == []
    (address,) = re.findall(r'href="[^"]*(/console/files/(?!feedback|counter)[^"]+/poster)"', files)
    assert re.fullmatch(r"/console/files/[\w.~%-]+/poster", address)
    poster = browser.get(unquote_to_bytes(address).decode("latin-1")).body
    assert [names for tag, names in evils(poster) if tag != "svg"] == []
    assert all(name[:2] != "on" for _, names in elements(poster) for name in names)
    link = whatsapp_link("+14155550199", evil)
    assert re.fullmatch(r"https://wa\.me/14155550199\?text=[\w.~%-]*", link)
    assert re.fullmatch(r"sms:\+1\?&body=[\w.~%-]*", sms_link("+1", evil))
    assert as_path(link) in poster


@one_database
def test_a_text_that_is_too_long_for_a_code_is_only_printed(quiz, webhook, operator):
    edit(webhook, quiz, QUIZ.replace('event = "Quiz"', f'event = "{"x" * MAX_BYTES}"'))
    page = operator.get("/console/files/quiz/poster").body
    assert "too long for a QR code" in page and codes(page) == []
    assert "+1 415-555-0100" in page


@pytest.mark.parametrize(
    "link", ["sms:+14155550100?&body=Mats%20BBQ", "https://wa.me/1", "x" * 500]
)
def test_a_code_is_drawn_as_segno_has_it(link):
    code = draw_qr_code(link)
    drawn = {tuple(map(int, at)) for at in re.findall(r"M(\d+) (\d+)h1v1h-1z", code.path)}
    matrix = segno.make_qr(link, error="m").matrix
    dark = {(x, y) for y, row in enumerate(matrix) for x, is_dark in enumerate(row) if is_dark}
    assert drawn == {(x + BORDER, y + BORDER) for x, y in dark}
    assert code.size == len(matrix) + 2 * BORDER
