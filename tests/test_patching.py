import sys
from types import ModuleType

import patching
import pytest

MODULES = {
    "home": "from math import pi\n\nLIMIT = 1\n\n\ndef limit():\n    return LIMIT\n",
    "between": "from home import LIMIT, limit\n",
    "user": "from between import limit as theirs\nfrom home import LIMIT\n",
    "apart": "LIMIT = 1\n",
    "late": "from home import LIMIT\n",
}


@pytest.fixture
def program(tmp_path, monkeypatch) -> None:
    """A program of a few modules that import from each other."""
    monkeypatch.setattr(patching, "ROOT", tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    for name, content in MODULES.items():
        (tmp_path / f"{name}.py").write_text(content, "utf-8")
    for name in ("between", "user", "apart"):
        __import__(name)
    yield
    for name in MODULES:
        sys.modules.pop(name, None)


def module(name: str) -> ModuleType:
    return sys.modules[name]


class Parent:
    @classmethod
    def name(cls) -> str:
        return cls.__name__


class Child(Parent):
    pass


def test_a_name_is_replaced_where_it_is_and_wherever_it_was_imported(program):
    undo = patching.patch("home", "LIMIT", 2)
    assert [vars(module(name))["LIMIT"] for name in ("home", "between", "user")] == [2, 2, 2]
    assert module("home").limit() == 2
    assert module("apart").LIMIT == 1
    undo()
    assert [vars(module(name))["LIMIT"] for name in ("home", "between", "user")] == [1, 1, 1]


def test_a_name_is_replaced_under_the_names_that_others_gave_it(program):
    undo = patching.patch(module("home"), "limit", lambda: 3)
    assert (module("between").limit(), module("user").theirs()) == (3, 3)
    undo()
    assert module("user").theirs is module("home").limit
    assert module("user").theirs() == 1


def test_what_is_imported_in_the_meantime_is_put_back_as_well(program):
    undo = patching.patch("home", "LIMIT", 2)
    __import__("late")
    assert module("late").LIMIT == 2
    undo()
    assert module("late").LIMIT == 1


def test_a_name_that_is_not_there_is_an_error(program):
    with pytest.raises(AttributeError, match=r"^home has no GONE\.$"):
        patching.patch("home", "GONE", 2)
    with pytest.raises(ModuleNotFoundError):
        patching.patch("nowhere", "LIMIT", 2)


def test_a_name_that_is_only_imported_is_an_error(program):
    with pytest.raises(AttributeError, match=r"^between imports LIMIT from home\. Patch it there"):
        patching.patch("between", "LIMIT", 2)
    assert module("between").LIMIT == 1


def test_what_comes_from_a_library_is_replaced_where_it_is_said(program):
    undo = patching.patch("home", "pi", 3)
    assert module("home").pi == 3
    undo()
    assert module("home").pi > 3


def test_a_class_is_patched_where_the_name_is_its_own():
    undo = patching.patch(Parent, "name", lambda: "nobody")
    assert Parent.name() == "nobody"
    undo()
    assert (Parent.name(), Child.name()) == ("Parent", "Child")
    with pytest.raises(AttributeError, match=r"^Parent has no gone of its own\.$"):
        patching.patch(Parent, "gone", 1)
    with pytest.raises(AttributeError, match=r"Child has no name .* inherits that from Parent"):
        patching.patch(Child, "name", 1)


def test_an_item_is_replaced_only_under_a_key_that_is_there():
    found = {"a": 1}
    undo = patching.patch_item(found, "a", 2)
    assert found == {"a": 2}
    undo()
    assert found == {"a": 1}
    with pytest.raises(KeyError, match="'b' is not one of 'a'"):
        patching.patch_item(found, "b", 2)


def test_all_patches_are_undone_the_last_one_first(program):
    patches, found = patching.Patches(), {"a": 1}
    patches("home", "LIMIT", 2)
    patches("home", "LIMIT", 3)
    patches.item(found, "a", 2)
    patches.undo()
    patches.undo()
    assert (module("home").LIMIT, module("user").LIMIT, found) == (1, 1, {"a": 1})
