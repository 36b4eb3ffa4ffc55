"""Names that had to be explained stay away; docs/architecture.md has the words that we use."""

import ast
from collections.abc import Iterator

from conftest import HERE, PROGRAM

OLD = """
Line Cutter cut NoAddress resolve judge in_words in_short where note told Refusal failing_safely
find_fault ONCE PLACES SWALLOWED signed_form inbound take_text Sender under_way deliver_one
keep_others_away serve_alone hear_signals_at_once heard end_when_broken claim_source
telling_of_target hold_again tell_differences Commands say Work TOGETHER LINE SESSION SYNC Moment
Words Gate _passing may_pass MET tell_time _told Impatient entities _whole WHOLE go_on_or_start
_gives_way_to owe keep forget asking asked unread said kept _find_wish _follow wish find_non_answer
_wanders WANDERING _leave_as_it_is _named fold trim Manner _placed _politely length Say asking_again
sent_to silence patience OF_KIND OF_REVIEW only SAYINGS FITTING mistakes Finding _worth_nothing
_wrong_home Sheet find_doubts find_dear_names LATER FURTHEST SHARE UNFINISHED SUSPECT ASTRAY
unfinished says_gone goes_alone Tally Transfer _holdable Mask saying one place gone
""".split()
# Where an old name is the right one after all.
EXCEPT = {
    ("models/questionnaire/schema.py", "say"): "the field of that name in the file",
    ("models/questionnaire/answers/choice.py", "say"): "the field of that name in the file",
    ("models/questionnaire/linter.py", "say"): "the field of that name in the file",
    ("models/turn.py", "inbound"): "Twilio's word for the direction of a message",
    ("gateway/webhook.py", "length"): "the Content-Length",
    ("models/questionnaire/templates.py", "length"): "of a text, in characters",
    ("storage/columns.py", "where"): "the clause of SQL",
    ("phone.py", "patience"): "how long Twilio waits for an answer",
}


def definitions(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        match node:
            case ast.FunctionDef(name=name) | ast.ClassDef(name=name) | ast.arg(arg=name):
                yield name
            case ast.Name(id=name, ctx=ast.Store()):
                yield name


FILES = [
    path.relative_to(HERE).as_posix()
    for part in PROGRAM
    for path in ([part] if part.suffix == ".py" else sorted(part.rglob("*.py")))
    if path.parent.name != "versions"  # a migration that has run stays as it is
]


def test_no_old_name_is_defined():
    defined = {
        (file, name)
        for file in FILES
        for name in definitions(ast.parse((HERE / file).read_text("utf-8")))
    }
    assert {(file, name) for file, name in defined if name in OLD} - EXCEPT.keys() == set()


def test_every_exception_is_needed():
    for file, name in EXCEPT:
        assert name in set(definitions(ast.parse((HERE / file).read_text("utf-8")))), (file, name)
