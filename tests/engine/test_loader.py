from pathlib import Path

import pytest

from obswarm.api import ObswarmError
from obswarm.engine import find_loadtest, load, select

pytestmark = pytest.mark.usefixtures("own_imports")

GOOD = """
from obswarm import User, HttpUser, task, tag

class Base(User):
    abstract = True

class Visitor(Base):
    @tag("read")
    @task
    def read(self): pass

class Admin(Visitor):
    fixed_count = 1
"""


def test_user_classes_are_found_in_order_and_abstract_ones_left_out(loadtest) -> None:
    test = load([loadtest(GOOD)])
    assert [cls.__name__ for cls in test.user_classes] == ["Visitor", "Admin"]
    assert test.shape is None
    assert test.name == "loadtest.py"


def test_modules_beside_the_file_can_be_imported(loadtest) -> None:
    loadtest("LIMIT = 3", "neighbour_of_it.py")
    test = load([loadtest(GOOD + "\nimport neighbour_of_it\nassert neighbour_of_it.LIMIT == 3", "with_import.py")])
    assert len(test.user_classes) == 2


def test_several_files_make_one_load_test(loadtest) -> None:
    other = "from obswarm import User, task\nclass Other(User):\n    @task\n    def a(self): pass\n"
    test = load([loadtest(GOOD, "first.py"), loadtest(other, "second.py")])
    assert [cls.__name__ for cls in test.user_classes] == ["Visitor", "Admin", "Other"]


def message_of(loadtest, text: str) -> str:
    with pytest.raises(ObswarmError) as caught:
        load([loadtest(text, "broken_one.py")])
    return str(caught.value)


def test_a_missing_file_is_named_with_the_nearest_one(loadtest, tmp_path: Path) -> None:
    loadtest(GOOD, "checkout.py")
    with pytest.raises(ObswarmError, match=r"No such load-test file: .*chekout\.py\. Did you mean .*checkout\.py\?"):
        load([tmp_path / "chekout.py"])


def test_a_syntax_error_comes_with_line_and_without_our_frames(loadtest) -> None:
    message = message_of(loadtest, "x = 1\ndef broken(:\n    pass\n")
    assert "broken_one.py has a syntax error" in message
    assert "line 2" in message
    assert "engine/loader" not in message
    assert "importlib" not in message


def test_an_exception_while_importing_comes_with_the_files_own_traceback_only(loadtest) -> None:
    message = message_of(loadtest, "def f():\n    return 1 / 0\nf()\n")
    assert "cannot be imported" in message
    assert "broken_one.py" in message
    assert "line 2, in f" in message
    assert "ZeroDivisionError" in message
    assert "engine/loader" not in message


def test_a_file_that_ends_the_process_is_told_so(loadtest) -> None:
    assert "sys.exit(3)" in message_of(loadtest, "import sys\nsys.exit(3)\n")


def test_a_file_without_user_classes_says_what_is_needed(loadtest) -> None:
    message = message_of(loadtest, "from obswarm import User\nclass A(User):\n    abstract = True\n")
    assert "defines no user class" in message


def test_a_bad_decorator_argument_points_at_the_line(loadtest) -> None:
    text = "from obswarm import User, task\nclass A(User):\n    @task('x')\n    def a(self): pass\n"
    message = message_of(loadtest, text)
    assert "line 3" in message
    assert "weight" in message


def test_two_shapes_are_one_too_many(loadtest) -> None:
    shape = "\nclass {0}(LoadTestShape):\n    def tick(self): return None\n"
    text = GOOD.replace("import User", "import LoadTestShape, User") + shape.format("A") + shape.format("B")
    assert "2 load shapes (A, B)" in message_of(loadtest, text)


def test_an_unknown_user_class_names_those_there_are(loadtest) -> None:
    with pytest.raises(ObswarmError, match="no user class 'Visiter'; it has Visitor, Admin. Did you mean Visitor"):
        load([loadtest(GOOD)]).chosen(["Visiter"])


def test_a_class_without_tasks_is_found_before_the_run(loadtest) -> None:
    test = load([loadtest("from obswarm import User\nclass Idle(User):\n    task = []\n", "idle.py")])
    with pytest.raises(ObswarmError, match=r"Idle has no tasks.*should be `tasks`"):
        select(test.user_classes)


def test_a_nested_taskset_without_tasks_is_found_before_the_run(loadtest) -> None:
    text = "from obswarm import User, TaskSet\nclass Empty(TaskSet): pass\nclass A(User):\n    tasks = [Empty]\n"
    with pytest.raises(ObswarmError, match="A uses the TaskSet Empty, which has no tasks"):
        select(load([loadtest(text, "nested.py")]).user_classes)


def test_tags_that_leave_nothing_are_named(loadtest) -> None:
    with pytest.raises(ObswarmError, match="No task matches --tags nothing"):
        select(load([loadtest(GOOD, "tagged.py")]).user_classes, tags=["nothing"])


def test_the_default_file_is_looked_for_by_name(tmp_path: Path, loadtest) -> None:
    with pytest.raises(ObswarmError, match=r"loadtest\.py or locustfile\.py"):
        find_loadtest(tmp_path)
    path = loadtest(GOOD, "locustfile.py")
    assert find_loadtest(tmp_path) == path


@pytest.mark.parametrize("name", ["two\\nlines", "\\u202egnp", "x" * 501])
def test_a_user_class_whose_name_cannot_be_shown_is_refused_with_a_sentence(loadtest, name: str) -> None:
    text = f"from obswarm import User, task\nMade = type('{name}', (User,), {{'tasks': [print]}})\n"
    message = message_of(loadtest, text)
    assert "it may have at most 500 characters" in message
    assert message.isprintable()


def test_a_class_without_tasks_is_left_out_beside_others(loadtest, caplog: pytest.LogCaptureFixture) -> None:
    test = load([loadtest(GOOD.replace("    abstract = True\n", "    host = 'http://a'\n"), "with_a_base.py")])
    assert [cls.__name__ for cls in test.user_classes] == ["Base", "Visitor", "Admin"]
    assert [cls.__name__ for cls in select(test.user_classes)] == ["Visitor", "Admin"]
    assert "No users of Base: Base has no tasks." in caplog.text
    with pytest.raises(ObswarmError, match="Base has no tasks"):
        select(test.chosen(["Base"]))
