"""Secrets are told by names and in URLs, and taken out of values and texts; what is none stays as it is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from obswarm.api import Environment, Events, LoadTestParser, ObswarmError, parse_custom
from obswarm.app.recording import configuration_of
from obswarm.cli.main import cli
from obswarm.cli.run import config_of, run
from obswarm.config import SETTINGS
from obswarm.engine import host_of
from obswarm.http import check_host
from obswarm.redact import (
    clear_secrets,
    is_secret_name,
    redact_code,
    redact_text,
    redact_url,
    redact_value,
    register_secret,
    register_setting,
)
from obswarm.sanitize import clean_lines, clean_text
from obswarm.stats import Recorder
from obswarm.targets.source import SourceError

SECRET_NAMES = (
    "token api_token access_token X-Api-Key apiKey APIKey OAuth2Token remote_write_auth Authorization Set-Cookie"
    " X-Amz-Signature sig key private-key SIGNING_KEY password db_pass passwd client.secret credentials jsessionid"
    " db_tokens passphrases api_thing_key MY_TOKEN2 API_TOKEN_PROD password_confirm tokens pass"
)
OTHER_NAMES = (
    "monkey keyword keyboard hockey_team author tokenizer compass passing pass_rate users cook max_tokens token_count"
    " token_type secret_file auth_method password_length primary_key sort-key keys KeyError token_url path"
    " tokens_per_page pages_per_token_count cursor_key user_key product_key secret_santa InvalidToken"
)


def test_names_of_secrets_are_told_by_their_words() -> None:
    assert [name for name in SECRET_NAMES.split() if not is_secret_name(name)] == []
    assert [name for name in OTHER_NAMES.split() if is_secret_name(name)] == []


@pytest.mark.parametrize(
    ("url", "left"),
    [
        ("http://user:PLANTED@host:80/a?b=1", "http://host:80/a?b=1"),
        ("https://PLANTED@host", "https://host"),
        ("http://user:PLA@NTED@host/", "http://host/"),
        ("http://user:PLA/NTED@host/a", "http://host/a"),
        ("http://user:PLA NTED@host/a", "http://host/a"),
        ("grpc://user:PLANTED@[::1]:50051", "grpc://[::1]:50051"),
        ("user:PLANTED@proxy:3128", "proxy:3128"),
        ("http://host/?access_token=PLANTED&page=2", "http://host/?access_token=***&page=2"),
        ("http://host/?key=PLANTED", "http://host/?key=***"),
        ("http://host/#id_token=PLANTED", "http://host/#id_token=***"),
        ("http://host/a;jsessionid=PLANTED", "http://host/a;jsessionid=***"),
        ("http://host/?auth%5Ftoken=PLANTED", "http://host/?auth%5Ftoken=***"),
        *(
            (url, url)
            for url in ("http://host:8080/@me", "http://[::1]:80/@a", "http+unix://%2Frun%2Fa.sock/a", "", "/a@b")
        ),
        ("http://host/?monkey=1&keyword=a", "http://host/?monkey=1&keyword=a"),
    ],
)
def test_urls_lose_user_information_and_secret_parameters(url: str, left: str) -> None:
    assert redact_url(url) == left
    if " " not in url and "://" in url and "?key=" not in url:
        assert redact_text(f"no answer from '{url}' today") == f"no answer from '{left}' today"


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("Authorization: Bearer PLANTED.a", "Authorization: ***"),
        ("{'password': 'PLANTED', 'a': 'b'}", "{'password': '***', 'a': 'b'}"),
        ('{"token":"PLANTED"}', '{"token":"***"}'),
        ("login failed with password=PLANTED", "login failed with password=***"),
        ("sent Bearer PLANTED1", "sent Bearer ***"),
        ("password: PLANTED1", "password: ***"),
        ("X-Auth-Token: PLANTED1", "X-Auth-Token: ***"),
        ("password = PLANTED", "password = ***"),
        ("--password=PLANTED", "--password=***"),
        ("Password=PLANTED;Server=h", "Password=***;Server=h"),
        ("KeyError: \"{'password': 'PLANTED'}\"", "KeyError: \"{'password': '***'}\""),
        (r'"{\"access_token\": \"PLANTED\"}"', r'"{\"access_token\": \"***\"}"'),
        (r"password='it\'s PLANTED'", "password='***'"),
        ("character(s) in header value: 'PLANTED\\nPLANTED'", "character(s) in header value: '***'"),
        (r"http:\/\/u:PLANTED@host", r"http:\/\/host"),
        ("/htp//u:PLANTED@host/?token=PLANTED", "/htp//host/?token=***"),
        ("/a?to=%2Fb%3Fu%3D1%26id_token%3DPLANTED&b=1", "/a?to=%2Fb%3Fu%3D1%26id_token%3D***&b=1"),
        ("query=max%28up%7Btoken%3D%22PLANTED%22%7D%29 x", "query=max%28up%7Btoken%3D*** x"),
        ("/a?to=http://h/x%3Ftoken=PLANTED", "/a?to=http://h/x%3Ftoken=***"),
        ("next=http%3A%2F%2Fu%3APLANTED%40host%2Fa", "next=http%3A%2F%2Fhost%2Fa"),
        *(
            (text, text)
            for text in (
                "HTTP 401 Unauthorized (client error)",
                "Basic authentication is needed",
                "Bearer token required",
                "KeyError: 'token'",
                "TokenError: 'bad'",
                "/login?token={token}&page=[page]",
                "--remote-write-auth: write it as USER:PASSWORD.",
                "a@b: http://host/a",
                "monkey=1 keyword='a'",
                "/a?tokens_per_page=5&product_key=5&pass=1&auth=yes&key=5&tokens=3",
                "auth=none",
                "Invalid token: expired",
                "InvalidToken: 401",
                '{"token": null}',
            )
        ),
    ],
)
def test_texts_lose_what_can_be_told_to_be_a_secret(text: str, left: str) -> None:
    assert redact_text(text) == left


def test_code_loses_literals_and_keeps_expressions() -> None:
    code = """
H = {"Authorization": f"Bearer PLANTED", 'Cookie': "a=PLANTED"}
API_KEY: str = "PLANTED"
secret = os.environ["SECRET_NAME"]
self.client.get("/a?token=PLANTED", auth=("user", "PLANTED"), headers={"X-Api-Key": 'PLANTED'})
self.client.post("http://u:PLANTED@host/", auth=HTTPBasicAuth("u", "PLANTED"), data=password)
self.client.get("/", cookies={"session": "PLANTED"}, data="a=b&password=PLANTED", params=f"token={token}")
response.failure(f"{url}: password=PLANTED", token=token)
keyword = "kept"
parser.add_argument("-p", "--password", type=str,
    default="PLANTED")
parser.add_argument("--other-password", default="")
os.getenv("API_TOKEN", "PLANTED"); os.environ.setdefault("MY_TOKEN2", "PLANTED")
token = (
    "PLANTED"
)
secret = '''PLANTED
PLANTED'''
self.client.get("/token", name="kept too")
"""
    left = redact_code(code)
    assert "PLANTED" not in left
    for kept in (
        'os.environ["SECRET_NAME"]',
        "data=password",
        'params=f"token={token}"',
        "token=token)",
        'keyword = "kept"',
        'name="kept too"',
        'add_argument("-p", "--password"',
        '"--other-password", default="")',
        '"http://host/"',
        '"/a?token=***"',
    ):
        assert kept in left


def test_of_a_traceback_the_message_is_a_text_and_the_lines_of_code_are_code() -> None:
    text = """Traceback (most recent call last):
  File "a.py", line 3, in f
    login(password=password)
ValueError: cannot log in with password=PLANTED
  | ValueError: password=PLANTED
  |   File "a.py", line 3, in f
  |     login(password=password)
"""
    assert clean_lines(text) == text.replace("PLANTED", "***")


def test_values_that_were_given_as_secrets_are_taken_out_wherever_they_stand() -> None:
    for text in ("see Ab1-x9 there", "/users/V9secret/a?q=K9abcdef", "p%26w9-secret", "kept"):
        assert redact_text(text) == text
    register_setting("--api-token", "Ab1-x9")
    register_setting("--remote-write-auth", "user:W9secret")
    register_setting("--host", "http:/user:V9secret@127.0.0.1:1/?key=K9abcdef")
    register_setting("--monkey", "kept-1")
    register_secret(["p&w9-secret", 7, None])
    assert redact_text("see Ab1-x9 there, W9secret") == "see *** there, ***"
    assert redact_text("/users/V9secret/a?q=K9abcdef") == "/users/***/a?q=***"
    assert redact_text("p%26w9-secret 7 kept-1 V9secrets") == "*** 7 kept-1 V9secrets"
    clear_secrets()
    assert redact_text("see Ab1-x9 there") == "see Ab1-x9 there"


def test_plain_words_and_small_numbers_are_no_values_to_look_for() -> None:
    register_secret(["changeme", "12345", "a-b", "------", 123456])
    text = "/changeme/12345/a-b ------ 123456"
    assert redact_text(text) == text


@given(st.text("ab:/@?=&#'\"(*{ ,") | st.text())
def test_redacting_twice_changes_nothing_more(text: str) -> None:
    for take_out in (redact_url, redact_text, redact_code):
        once = take_out(text)
        assert take_out(once) == once


def test_values_are_hidden_by_name_wherever_they_stand() -> None:
    values = {
        "host": "http://u:PLANTED@h",
        "headers": {"X-Api-Key": "PLANTED", "Accept": "a"},
        "targets": ["a=http://u:PLANTED@h"],
    }
    assert redact_value("options", values) == {
        "host": "http://h",
        "headers": {"X-Api-Key": "***", "Accept": "a"},
        "targets": ["a=http://h"],
    }
    assert redact_value("token", "PLANTED") == "***"
    assert redact_value("tokens", None) is None
    assert redact_value("monkey", "kept") == "kept"


def test_what_is_cut_is_searched_beyond_the_cut() -> None:
    assert "PLANTED" not in clean_text("a" * 30 + " http://user:PLANTED-and-more@host/", 50)
    assert "NTED" not in clean_lines("http://user:PLANTED@host/ the end", 22)


def test_the_statistics_have_no_secret_in_names_errors_and_tracebacks() -> None:
    recorder = Recorder()
    recorder.record("GET", "http://u:PLANTED@h/a?token=PLANTED", 0.1, error=ValueError("http://u:PLANTED@h is down"))
    recorder.record("GET", "/a?api_key=PLANTED", 0.1, error="password='PLANTED'")
    recorder.record_cut_off("request", "GET", "http://u:PLANTED@h/a", 0.1)
    recorder.record_exception(
        "ValueError: token='PLANTED'", 'File "a.py"\n  get(headers={"Authorization": "PLANTED"})\n'
    )
    recorder.pending[object()] = ("GET", "http://u:PLANTED@h/b", 0.0, False)
    assert "PLANTED" not in repr(recorder.in_flight(1.0))
    table = recorder.take()
    assert {key.name for key in table.endpoints} == {"http://h/a?token=***", "/a?api_key=***"}
    assert "PLANTED" not in repr((table.endpoints.keys(), table.errors, table.cut_off, table.exceptions))


def test_the_host_of_a_run_has_no_password_and_the_users_have_it(environment: Environment) -> None:
    environment.host = check_host("http://user:PLANTED@127.0.0.1:1/base?token=PLANTED")
    assert host_of(environment) == "http://127.0.0.1:1/base?token=***"
    assert "PLANTED" in environment.host


def test_errors_for_people_name_urls_without_passwords() -> None:
    for kind in (ObswarmError, SourceError):
        assert str(kind("No master answers at http://u:PLANTED@h:1.")) == "No master answers at http://h:1."
    for wrong in ("u:PLANTED@host", "ftp://u:PLANTED@host", "http://u:PLA/NTED@host"):
        with pytest.raises(ValueError, match="is not a base URL") as raised:
            check_host(wrong)
        assert "PLA" not in str(raised.value)


def test_options_are_kept_without_secrets_by_their_names_or_as_the_load_test_says(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OBSWARM_GRAFANA_TOKEN", "PLANTED")
    monkeypatch.delenv("OBSWARM_STORE")
    monkeypatch.delenv("OBSWARM_NO_REPORT")
    events = Events()

    @events.init_command_line_parser.add_listener
    def add_options(parser: LoadTestParser) -> None:
        for name in ("--monkey", "--shop-password", "--dsn", "--header"):
            parser.add_argument(name)
        parser.add_argument("--pin", type=int, is_secret=True)
        parser.add_argument("--token-word", "--auth", dest="auth", is_secret=False)
        parser.add_argument("--tokens", type=int)

    own = [
        "--monkey",
        "m",
        "--shop-password=PLANTED",
        "--dsn=postgres://u:PLANTED@db/a",
        "--pin=1234",
        "--tokens=500",
        "--auth",
        "basic",
    ]
    custom, left = parse_custom(events, "a.py", [*own, "--header", "Authorization: Bearer PLANTED"])
    assert left == []
    ours = ["-H", "http://u:PLANTED@h", "--remote-write-auth=u:PLANTED", "--api-token", "PLANTED", "--target"]
    ctx = run.make_context("run", [*ours, "app=http://u:PLANTED@h/m?token=PLANTED", "-u", "3"])
    assert configuration_of(config_of(ctx), custom) == {
        "auth": "basic",
        "dsn": "postgres://db/a",
        "header": "Authorization: ***",
        "host": "http://h",
        "monkey": "m",
        "targets": ["app=http://h/m?token=***"],
        "tokens": 500,
        "users": 3,
    }


def test_every_option_of_ours_that_takes_a_secret_has_a_name_that_says_so() -> None:
    names = {
        param.name for command in cli.commands.values() for param in command.params if is_secret_name(param.name or "")
    }
    pairs = {f"{prefix}_{name}" for prefix in ("prometheus", "remote_write") for name in ("auth", "token")}
    assert names == {"api_token", "alerts_token", "grafana_token", "web_auth"} | pairs
    assert {name for name, each in SETTINGS.items() if each.secret} == names
