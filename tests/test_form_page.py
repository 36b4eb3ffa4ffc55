"""What the addresses of Google Forms and their pages say."""

import json
import time

import pytest
from conftest import examples
from hypothesis import given, settings
from hypothesis import strategies as st

from models.google_form.address import (
    form_id,
    is_apps_script,
    is_echo,
    is_google_form,
    is_public,
    is_response_url,
    is_short_link,
    is_sign_in,
    page_name,
    page_url,
    response_url,
)
from models.google_form.answer import AnswerPage
from models.google_form.markup import Link, read_document
from models.google_form.page import FormPage, FormQuestion, read_form

FORM = "https://docs.google.com/forms/d/e/1FAIpQLSdEXAMPLE"
OTHER = ["", None, None, None, 1]
DATA = [
    None,
    [
        "Tell us how it was",
        [
            [1, "Favourite colour", None, 0, [[351, None, 1]]],
            [2, "Meal", None, 2, [[386, [["Pizza", None, None, None, 0], ["Pasta"], OTHER], 0]]],
            [3, "Drinks", None, 4, [[107, [["Cola"], ["Water"]], 0]]],
            [4, "A picture", None, 11, None],
            [5, "How was it?", None, 5, [[236, [["1"], ["2"], ["3"]], 1, ["bad", "great"]]]],
            [6, "Second section", None, 8, None, -2],
            [7, "Arrival", None, 9, [[186, None, 0, None, None, None, None, [0, 1]]]],
            [8, "Birthday", None, 9, [[187, None, 0, None, None, None, None, [1, 0]]]],
            [9, "Wake me", None, 10, [[188, None, 0, None, None, None, [0]]]],
            [10, "How long", None, 10, [[189, None, 0, None, None, None, [1]]]],
            [11, "Rate", None, 7, [[21, [["a"], ["b"]], 1, ["food"]], [22, [["a"]], 1, ["bed"]]]],
            [12, "Stars", None, 18, [[190, [["1"], ["2"]], 0]]],
            [13, "CV", None, 13, [[191, None, 1]]],
            [14, "New", None, 77, [[192, None, 0]]],
        ],
        ["Thanks, noted!", 0, 0, 1, 0],
        *[None] * 5,
        "Mats BBQ",
        70,
        [None, None, None, 2, None, None, 3],
    ],
    "/forms",
    "Mats BBQ (form)",
    *[None] * 10,
    "e/1FAIpQLSdEXAMPLE",
]


MANY = settings(max_examples=examples(30, 100), deadline=None, database=None)


def page_of(data: object, before: str = "", after: str = ";") -> str:
    text = json.dumps(data).replace("<", "\\u003c").replace(">", "\\u003e")
    return f"<html>{before}<script>var FB_PUBLIC_LOAD_DATA_ = {text}{after}</script></html>"


def parse_page(html: str) -> FormPage | None:
    return AnswerPage(html, FORM).form


def with_items(*items: list) -> list:
    return [None, [None, list(items)], "/forms"]


# Addresses #####################################################################


@pytest.mark.parametrize(
    "url",
    [
        f"{FORM}/viewform",
        f"{FORM}/formResponse",
        f"{FORM}/viewform?usp=pp_url&entry.1=Question1",
        f"{FORM}/viewform?usp=sf_link#response",
        f"{FORM}/closedform",
        f"{FORM}/",
        FORM,
        "https://docs.google.com/forms/u/0/d/e/1FAIpQLSdEXAMPLE/viewform",
        "https://docs.google.com/a/example.org/forms/d/e/1FAIpQLSdEXAMPLE/viewform",
        "http://docs.google.com/forms/d/e/1FAIpQLSdEXAMPLE/formResponse",
        "https://DOCS.google.com./forms/d/e/1FAIpQLSdEXAMPLE/formResponse",
    ],
)
def test_every_address_of_a_form_leads_to_where_it_takes_answers(url):
    assert is_google_form(url)
    assert response_url(url).lower().replace("com.", "com") == f"{FORM}/formResponse".lower()
    assert page_url(url).endswith("/forms/d/e/1FAIpQLSdEXAMPLE/viewform")
    assert form_id(url) == "1FAIpQLSdEXAMPLE"


def test_the_id_of_the_editor_gives_way_to_the_public_one():
    edit = "https://docs.google.com/forms/d/1kjl7hDg/edit#responses"
    assert not is_public(edit) and is_public(f"{FORM}/viewform")
    assert response_url(edit) == "https://docs.google.com/forms/d/1kjl7hDg/formResponse"
    assert response_url(edit, "1FAIpQLSdEXAMPLE") == f"{FORM}/formResponse"
    assert response_url(FORM, "1FAIpQLSdOTHER") == f"{FORM}/formResponse"
    assert response_url(edit, "../../x") == response_url(edit, "") == response_url(edit)


@pytest.mark.parametrize(
    ("url", "is_right"),
    [
        (f"{FORM}/formResponse", True),
        (f"{FORM}/viewform", False),
        (f"{FORM}/formresponse", False),
        ("http://docs.google.com/forms/d/e/1FAIpQLSdEXAMPLE/formResponse", False),
        ("https://example.org/forms/d/e/1FAIpQLSdEXAMPLE/formResponse", False),
    ],
)
def test_only_one_address_takes_answers(url, is_right):
    assert is_response_url(url) == is_right


@pytest.mark.parametrize(
    "url",
    [
        "https://docs.google.com/spreadsheets/d/1/edit",
        "https://docs.google.com.example.org/forms/d/e/1/formResponse",
        "https://forms.gle/abc",
        "https://[/forms/",
        "docs.google.com/forms/d/e/1/formResponse",
        "",
    ],
)
def test_other_addresses_are_no_forms(url):
    assert not is_google_form(url)
    assert form_id(url) == page_name(url) == ""
    with pytest.raises(ValueError, match="not the address of a Google Form"):
        response_url(url)


def test_a_form_without_an_id_has_no_address_for_answers():
    assert is_google_form("https://docs.google.com/forms/u/0/")
    with pytest.raises(ValueError):
        page_url("https://docs.google.com/forms/u/0/")


def test_the_neighbours_of_forms_are_told_apart():
    assert is_short_link("https://forms.gle/AbC") and not is_short_link(FORM)
    assert page_name(f"{FORM}/closedform") == "closedform"
    assert is_sign_in("https://accounts.google.com/ServiceLogin?continue=x")
    script = "https://script.google.com/macros/s/AKfycb/exec"
    assert is_apps_script(script) and not is_apps_script(script.replace("https", "http"))
    assert not is_apps_script("https://script.google.com/home") and not is_google_form(script)
    assert is_echo("https://script.googleusercontent.com/macros/echo?user_content_key=x")
    assert not is_echo("http://script.googleusercontent.com/macros/echo")


def test_a_fake_form_may_do_without_tls_at_any_port(patch):
    patch("models.google_form.address", "HOSTS", {"127.0.0.1"})
    url = "http://127.0.0.1:8080/forms/d/e/1/viewform?a=b"
    assert response_url(url) == "http://127.0.0.1:8080/forms/d/e/1/formResponse"
    assert is_response_url(response_url(url)) and not is_google_form(FORM)


# Pages #########################################################################


def test_page_tells_all_its_questions():
    page = parse_page(page_of(DATA))
    entries = [(question.entry, question.kind, question.required) for question in page.questions]
    assert entries == [
        ("entry.351", "short", True),
        ("entry.386", "choice", False),
        ("entry.107", "checkboxes", False),
        ("entry.236", "scale", True),
        ("entry.186", "date", False),
        ("entry.187", "date", False),
        ("entry.188", "time", False),
        ("entry.189", "duration", False),
        ("entry.21", "grid", True),
        ("entry.22", "grid", True),
        ("entry.190", "rating", False),
        ("entry.191", "upload", True),
        ("entry.192", "other", False),
    ]
    assert page.by_entry["entry.386"] == FormQuestion(
        "entry.386", "Meal", "choice", False, ("Pizza", "Pasta"), True, False, False, 0
    )
    assert page.by_entry["entry.22"].title == "Rate: bed"
    arrival, birthday = page.by_entry["entry.186"], page.by_entry["entry.187"]
    assert (arrival.has_year, arrival.has_time, arrival.section) == (True, False, 1)
    assert (birthday.has_year, birthday.has_time) == (False, True)


def test_page_tells_of_the_form():
    page = parse_page(page_of(DATA))
    assert (page.id, page.title) == ("1FAIpQLSdEXAMPLE", "Mats BBQ")
    assert (page.confirmation, page.has_link_to_another) == ("Thanks, noted!", False)
    assert (page.email_rule, page.sections, page.branches) == ("typed", 2, False)


@pytest.mark.parametrize(
    "title",
    [
        "a; b",
        "[x] y];",
        'say "hi"',
        "</script><b>",
        "\\",
        "ü 🙂",
        "var FB_PUBLIC_LOAD_DATA_ = [1];",
    ],
)
def test_titles_may_hold_anything(title):
    data = with_items([1, title, None, 0, [[5, None, 0]]])
    page = parse_page(page_of(data, before="<script>x = 'FB_PUBLIC_LOAD_DATA_ = [';</script>"))
    assert [question.title for question in page.questions] == [title]


def test_data_is_only_looked_for_in_scripts():
    text = "FB_PUBLIC_LOAD_DATA_ = [null,[null,[[1]]]]"
    assert parse_page(f"<p>{text}</p>") is None
    assert parse_page(f"<!-- <script>{text}</script> -->") is None
    assert parse_page(f"<SCRIPT nonce='x'>{text};</SCRIPT >") is not None


def test_confirmation_page_has_data_without_questions():
    for items in (None, []):
        page = parse_page(page_of([None, [None, items]]))
        assert page == FormPage("", "", "", True, "none", 1, False, ())


@pytest.mark.parametrize("same", ["  Mats\nBBQ", "Tell us how  it was"])
def test_what_the_head_of_the_form_says_confirms_nothing(same):
    data = json.loads(json.dumps(DATA))
    data[1][2][0] = same
    assert read_form(data).confirmation == ""


@pytest.mark.parametrize(
    ("item", "branches"),
    [
        ([1, "A", None, 2, [[1, [["x", None, -2], ["y", None, None]], 0]]], False),
        ([1, "A", None, 2, [[1, [["x", None, 44], ["y", None, -2]], 0]]], True),
        ([1, "A", None, 2, [[1, [["x", None, None, None, 0, 44]], 0]]], True),
        ([1, "A", None, 2, [[1, [["x", None, None, None, 0, ["picture"]]], 0]]], False),
        ([1, "A", None, 3, [[1, [["x", None, -3]], 0]]], True),
        ([1, "A", None, 8, None, -3], True),
        ([1, "A", None, 8, None, 44], True),
        ([1, "A", None, 8, None, -2], False),
    ],
)
def test_branches_are_seen(item, branches):
    assert read_form(with_items(item, [44, "B", None, 8])).branches == branches


def test_options_do_not_matter_where_there_is_one_section():
    item = [1, "A", None, 2, [[1, [["x", None, -3]], 0]]]
    assert not read_form(with_items(item)).branches


def test_digest_changes_with_what_matters_only():
    item = [1, "A", None, 2, [[5, [["x"], ["y"]], 0]]]
    same = read_form(with_items(item)).digest
    assert read_form([*with_items([9, "A", "help", 2, item[4]]), "renamed"]).digest == same
    for other in (
        [1, "B", None, 2, item[4]],
        [1, "A", None, 3, item[4]],
        [1, "A", None, 2, [[6, [["x"], ["y"]], 0]]],
        [1, "A", None, 2, [[5, [["x"], ["y"]], 1]]],
        [1, "A", None, 2, [[5, [["y"], ["x"]], 0]]],
        [1, "A", None, 2, [[5, [["x"], ["y"], OTHER], 0]]],
    ):
        assert read_form(with_items(other)).digest != same


def test_shuffled_options_are_the_same_form():
    def page(*options: str) -> FormPage:
        entry = [5, [[option] for option in options], 0, *[None] * 5, 1]
        return read_form(with_items([1, "A", None, 2, [entry]]))

    assert page("x", "y").digest == page("y", "x").digest
    rows = [[5, [["a"]], 0, ["r"]], [6, [["a"]], 0, ["s"]]]
    grids = [
        read_form(with_items([1, "A", None, 7, entries, None, None, 1]))
        for entries in (rows, rows[::-1])
    ]
    assert grids[0].digest == grids[1].digest


def test_collected_addresses_of_older_forms_are_seen():
    assert read_form([None, [None, [], *[None] * 8, [None, 0, None, 2, 1]]]).email_rule == "typed"


# Whatever comes ################################################################

json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 20) | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=12) | st.dictionaries(st.text(max_size=2), inner),
    max_leaves=20,
)


@MANY
@given(json_values | st.lists(json_values).map(lambda items: with_items(*items)))
def test_no_data_raises_an_error(data):
    page = read_form(data)
    if page is not None:
        assert page.digest and page.by_entry is not None


# Every way to break what is there: each part of real data, replaced.
@pytest.mark.parametrize("part", [None, -1, 2**70, True, 1.5, "", "\ud800\0", [], [[]], {}])
def test_no_part_of_the_data_is_needed(part):
    def broken(value: object):
        yield part
        for index in range(len(value) if isinstance(value, list) else 0):
            for other in broken(value[index]):
                yield [*value[:index], other, *value[index + 1 :]]

    for data in broken(DATA):
        page = read_form(data)
        assert page is None or page.digest


MARKUP = ["<", ">", "</", "<a ", "<script", "<script>", "</script>", "<!--", "-->", "<!", '"', "'"]
MARKUP += ["=", " ", "&#", "&", ";", "<title>", "<p>", "x", "FB_PUBLIC_LOAD_DATA_ = [", "[", "]"]
MORE_MARKUP = [
    "</a>",
    "<a href=x>",
    "<a>x</a> ",
    "<a b='",
    "<p>x",
    "<a href=form_confirm>",
    "&#1",
    "name=",
    "<a b= ",
    "<b c=d e='f'>",
]


@MANY
@given(st.lists(st.sampled_from(MARKUP) | st.text(max_size=3)).map("".join))
def test_no_markup_raises_an_error(html):
    document = read_document(html)
    assert isinstance(document.text, str)
    parse_page(html)


@pytest.mark.long
@pytest.mark.parametrize("before", ["", "<a ", "<script>FB_PUBLIC_LOAD_DATA_ = ", '<a b="'])
@pytest.mark.parametrize("part", MARKUP + MORE_MARKUP)
def test_hostile_pages_take_no_longer_than_others(before, part):
    def seconds(size: int) -> float:
        html = before + part * (size // len(part))
        start = time.process_time()
        page = AnswerPage(html, f"{FORM}/formResponse")
        page.is_marked, page.confirms(None), page.is_of_form, page.says("x" * 1_000)
        return time.process_time() - start

    small, large = (min(seconds(size) for _ in range(3)) for size in (2**15, 2**18))
    assert large < 30 * small + 0.1  # 64 times as long is what a quadratic parser takes


def test_numbers_and_references_may_have_any_length():
    assert parse_page(f"<script>FB_PUBLIC_LOAD_DATA_ = [[null,{'1' * 10_000}]]</script>") is None
    assert parse_page(f"<script>FB_PUBLIC_LOAD_DATA_ = {'[' * 2**20}</script>") is None
    digits = "1" * 10_000
    (link,) = read_document(f"<p>&#{digits};<a href='&#{digits};'>").links
    assert link.target == f"&#{digits};"


# Markup ########################################################################


def test_only_visible_text_is_text():
    html = """<title>T &amp; U</title><head><style>a{}</style></head><body class='b  c'>
    <script>"<p>no</p>"</script><!-- no --><noscript>no</noscript><template>no</template>
    <div data-x=1>Y&ouml;u <b>are</b><br>in<wbr>side <a
     href="/x?a=1&amp;b=2" >it</a></DIV><p title='a > b'>1 < 2 <input name="entry.5">3"""
    document = read_document(html)
    assert document.paragraphs == ["Yöu are inside", "it", "1 < 2", "3"]
    assert (document.title, document.links) == ("T & U", [Link("/x?a=1&b=2")])
    assert (document.fields, document.classes) == ({"entry.5"}, {"b", "c"})
    assert document.data_names == {"data-x"}


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("<a href=x>it</a>", "it"),
        ("<p>a</p> <a href=x><b>it</b> </a> <p>b", "it"),
        ("<a href=x><div>it</div></a>", "it"),
        ("<a href=x>it", "it"),
        ("<a href=x>it<p>more</a>", "it"),
        ("<a href=x></a>", ""),
        ("<a href=x></a>it", ""),
        ("a <a href=x>it</a>", ""),
        ("<a href=x>it</a> b", ""),
        ("<a href=x>it</a><br>b", ""),
        ("<a href=x>it</a><span>b</span>", ""),
        ("<a href=x></a><p>it", ""),
        ("<a href=x>it<a>b", ""),
    ],
)
def test_a_link_has_a_text_if_that_is_all_of_its_paragraph(html, text):
    assert read_document(html).links[0] == Link("x", text)


def test_a_quote_that_is_no_value_hides_nothing():
    html = "<p title=it's>a</p><input name=entry.5><p 'x'>b</p><p =\"><input name=entry.6>\">"
    document = read_document(html)
    assert document.fields == {"entry.5"} and document.paragraphs == ["a", "b"]
