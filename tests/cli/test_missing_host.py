"""HTTP users without a host are refused before the run, unless the load test may know better."""

from pathlib import Path

import pytest

from obswarm.api import User
from obswarm.app.missing_host import check_that_hosts_are_known
from obswarm.http import FastHttpUser, HttpUser, MissingHost

PLAIN = '''"""See https://docs.example.com."""
from obswarm import FastHttpUser, task


class Visitor(FastHttpUser):
    """See https://docs.example.com as well."""

    host = None

    @task
    def visit(self):
        """And https://docs.example.com."""
        self.client.get("/", headers={"Host": self.host})
'''


class Visitor(FastHttpUser):
    pass


class Other(HttpUser):
    pass


class Query(User):
    pass


class Known(HttpUser):
    host = "http://127.0.0.1:1"


def check(folder: Path, text: str, *classes: type[User], host: str | None = None, opened: tuple[str, ...] = ()) -> None:
    file = folder / "loadtest.py"
    file.write_text(text)
    check_that_hosts_are_known(classes or (Visitor,), host, [file], opened)


def test_all_of_them_are_named_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(MissingHost, match="^No host for Visitor and Other: use -H/--host, .* of the user c"):
        check(tmp_path, PLAIN, Visitor, Known, Query, Other)


def test_with_hosts_and_for_other_users_nothing_is_said(tmp_path: Path) -> None:
    check(tmp_path, PLAIN, Visitor, host="http://127.0.0.1:1")
    check(tmp_path, PLAIN, Known, Query)


@pytest.mark.parametrize(
    "line",
    [
        'self.client.get("https://www.example.com/")',
        'self.client.get(f"http://{name}/")',
        'self.client.base_url = "//" + name',
        "environment.host = name",
        'setattr(self, "host", name)',
    ],
)
def test_a_load_test_that_may_say_it_later_is_let_run(tmp_path: Path, line: str) -> None:
    check(tmp_path, f"{PLAIN}\n\ndef more(self, name, environment):\n    {line}\n")


def test_modules_beside_it_and_files_that_it_has_read_are_looked_into(tmp_path: Path) -> None:
    (tmp_path / "places.py").write_text('FIRST = "https://www.example.com/"\n')
    check(tmp_path, f"import places\n{PLAIN}")
    urls = tmp_path / "urls.csv"
    urls.write_text("name,url\none,https://www.example.com/one\n")
    check(tmp_path, PLAIN, opened=(str(urls),))
    urls.write_text("name,path\none,/one\n")
    with pytest.raises(MissingHost):
        check(tmp_path, PLAIN, opened=(str(urls),))
