"""charset_normalizer is imported when it is first used."""

import subprocess
import sys

import pytest

BEFORE = """
import sys
import obswarm.http
assert "requests" not in sys.modules
import requests

def is_imported():
    return "charset_normalizer.api" in sys.modules

answer = requests.Response()
answer._content = "Où êtes-vous allés cet été, à la plage ou à la forêt\\u00a0?".encode("latin-1")
"""


def run(script: str, before: str = BEFORE) -> None:
    # Warnings are errors: requests warns when it finds no library that it can use.
    subprocess.run([sys.executable, "-W", "error", "-c", before + script], check=True, timeout=120)


@pytest.mark.parametrize(
    "use",
    [
        "assert answer.apparent_encoding and 'été' in answer.text",
        "import charset_normalizer; assert charset_normalizer.from_bytes(b'a').best()",
        "from charset_normalizer import from_bytes; assert from_bytes(b'a').best()",
        "from charset_normalizer.api import from_bytes; assert from_bytes(b'a').best()",
        "from charset_normalizer import *; assert from_bytes(b'a').best()",
        "assert requests.compat.chardet.detect(b'a')['encoding'] == 'ascii'",
    ],
)
def test_the_package_is_imported_by_each_way_of_using_it(use: str) -> None:
    run(f"assert not is_imported()\n{use}\nassert is_imported()")


def test_one_module_has_the_name_before_and_after_it_is_used() -> None:
    run(
        "import charset_normalizer as early\nearly.detect(b'a')\nimport charset_normalizer as late\n"
        "assert late.detect is early.detect is requests.compat.chardet.detect\nassert early.__version__ == late.__version__"
    )


def test_what_the_package_lacks_is_an_attribute_error() -> None:
    run(
        "import charset_normalizer\n"
        "try: charset_normalizer.no_such_name\n"
        "except AttributeError: pass\n"
        "else: raise SystemExit('no error')"
    )


def test_a_package_that_is_imported_already_is_left_alone() -> None:
    run("assert sys.modules['charset_normalizer'] is early", "import sys, charset_normalizer as early, obswarm.http\n")
