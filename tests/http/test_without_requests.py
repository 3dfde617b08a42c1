"""FastHttpUser does without requests and urllib3, whose results its own parts have."""

import re
import subprocess
import sys
from typing import Any
from urllib.parse import urlsplit

import pytest
from hypothesis import example, given, reject
from hypothesis import strategies as st
from requests import Request
from requests.structures import CaseInsensitiveDict as OfRequests
from requests.utils import parse_header_links, requote_uri
from urllib3.fields import RequestField
from urllib3.filepost import encode_multipart_formdata
from urllib3.util import parse_url as parse_url_of_urllib3

from obswarm.http import urls
from obswarm.http.case_insensitive import CaseInsensitiveDict
from obswarm.http.multipart import encode_multipart
from obswarm.http.raw import parse_links
from obswarm.http.requests.user import _PLAIN_HOST
from obswarm.http.urls import check_host
from tests.support.patience import HANG_S

IMPORTED = """
import sys
from obswarm.api import Environment, Events
from {package} import FastHttpUser
from obswarm.http.client.response import FastResponse
from obswarm.http.head import template
from obswarm.stats import Recorder

class Visitor(FastHttpUser):
    host = "http://127.0.0.1:1"

Visitor.import_client()
client = Visitor(Environment(events=Events(), recorder=Recorder(), stop_timeout=1)).client
client.cookies.set("a", "1", domain="127.0.0.1")
client.headers["X-A"] = "1"
assert client.post("/a b/../%7e?q=[é]", files={"f": ("n", "content")}, cookies={"b": "2"}).status_code == 0
prepared = client.current_template().prepared("GET", "/")
head = b"HTTP/1.1 200 OK\\r\\nSet-Cookie: c=3\\r\\nLink: </next>; rel=next\\r\\nContent-Length: 2\\r\\n\\r\\n"
response = FastResponse(prepared, b"", b"", 200, head, 0, b"{}")
assert (response.headers["link"], response.cookies["c"], response.links["next"]["url"]) == ("</next>; rel=next", "3", "/next")
assert (response.json(), response.text, response.raw.read(1), response.next) == ({}, "{}", b"{", None)
print(*sorted({"requests", "urllib3", "idna", "importlib.metadata", "zipfile", "mimetypes"} & sys.modules.keys()))
"""


@pytest.mark.parametrize("package", ["obswarm", "obswarm.locust"])
def test_requests_of_a_fast_http_user_import_neither_requests_nor_urllib3(package: str) -> None:
    program = IMPORTED.replace("{package}", package)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=HANG_S, check=False)
    assert (done.stdout.split(), done.stderr) == ([], "")


def test_a_host_is_checked_without_importing_requests() -> None:
    program = "import sys; from obswarm.http import HttpUser; print(HttpUser.check_host('https://a.test:8443/api/'))"
    done = subprocess.run(
        [sys.executable, "-c", f"{program}; print('requests' in sys.modules)"],
        capture_output=True,
        text=True,
        timeout=HANG_S,
        check=True,
    )
    assert done.stdout.split() == ["https://a.test:8443/api", "False"]


@given(st.text("/.aZ09-_~!$&'()*+,;=:@?%[]|\\^`{}\"<> é\ud800", max_size=20))
@example("a%zz/%41%7e")
@example("../")
@example("%e9%2F?%E9%zz")
def test_a_target_is_encoded_as_by_requests(text: str) -> None:
    parts = urlsplit("http://a.test/" + text)
    target = f"{parts.path}?{parts.query}" if parts.query else parts.path
    assert urls._normalised(target) == requote_uri(parse_url_of_urllib3(f"http://h{target}").request_uri)


texts = st.text(max_size=8)
contents = st.one_of(st.binary(max_size=8), st.text(st.characters(codec="utf-8"), max_size=8))
safe_texts = st.text(st.characters(codec="utf-8"), max_size=8)
headers = st.dictionaries(st.sampled_from(["X-A", "Content-Type", "Content-Location", "x-b"]), safe_texts, max_size=3)


@given(
    st.lists(st.tuples(safe_texts, contents), max_size=2),
    st.lists(
        st.tuples(safe_texts, st.tuples(st.none() | safe_texts, contents, st.sampled_from([None, "", "a/b"]), headers)),
        min_size=1,
        max_size=2,
    ),
)
def test_a_form_with_files_has_the_bytes_of_urllib3s(
    fields: list[tuple[str, Any]], files: list[tuple[str, Any]]
) -> None:
    body, content_type = encode_multipart(fields, files)
    boundary = content_type.removeprefix("multipart/form-data; boundary=")
    assert re.fullmatch("[0-9a-f]{32}", boundary)
    expected = [RequestField(name, content) for name, content in fields]
    for field in expected:
        field.make_multipart()
    for name, (filename, content, kind, more) in files:
        part = RequestField(name, content, filename, more)
        part.make_multipart(content_type=kind)
        expected.append(part)
    assert (body, content_type) == encode_multipart_formdata(expected, boundary)


@given(st.text("<>;=, \"'arel/", max_size=30))
@example('<http://a.test/2>; rel="next", </1>; rel=prev; title="x"')
def test_links_are_those_that_requests_finds(value: str) -> None:
    assert parse_links(value) == parse_header_links(value)


@given(st.from_regex(_PLAIN_HOST, fullmatch=True))
def test_requests_accepts_the_plain_hosts_that_are_not_passed_to_it(host: str) -> None:
    try:
        checked = check_host(host, ("http", "https"))
    except ValueError:
        reject()
    Request("GET", checked).prepare()


names = st.sampled_from(["Accept", "ACCEPT", "x-a"])


@given(st.lists(st.tuples(names, texts), max_size=6), st.lists(names, max_size=3))
def test_headers_are_a_dict_like_that_of_requests(fields: list[tuple[str, str]], removed: list[str]) -> None:
    ours: CaseInsensitiveDict[str] = CaseInsensitiveDict(fields)
    theirs: OfRequests[str] = OfRequests(fields)
    for name in removed:
        assert ours.pop(name, None) == theirs.pop(name, None)
    assert list(ours.items()) == list(theirs.items())
    assert list(ours.lower_items()) == list(theirs.lower_items())
    assert (repr(ours), len(ours)) == (repr(theirs), len(theirs))
    assert ours == theirs == ours.copy() == dict(theirs)
    assert ("accept" in ours, ours.get("aCCept")) == ("accept" in theirs, theirs.get("aCCept"))


def test_headers_are_equal_to_mappings_alone() -> None:
    headers = CaseInsensitiveDict({"A": "1"}, b="2")
    assert headers == {"a": "1", "B": "2"}
    assert headers != [("a", "1"), ("b", "2")]
    with pytest.raises(TypeError, match="unhashable"):
        hash(headers)
