"""The client of a master's API on a fake clock: answers of every kind, silence, and masters that are started again."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import gevent
import msgpack
import pytest
import requests

from obswarm.config import RunConfig
from obswarm.engine import StopReason
from obswarm.record import StopKind
from obswarm.web import MasterClient, MasterError, RunRequest
from obswarm.web import client as module
from obswarm.web.client import End, Log
from obswarm.web.wire import pack_result, pack_snapshot
from tests.support.fake_time import FakeTime
from tests.support.recorded import PAGE, MadeUpRun, result_of

URL = "http://master:8089"
ORDER = RunRequest(RunConfig(), ["a.py"], False, "", b"x")
SNAPSHOT = MadeUpRun([]).second({PAGE: [0.1]})
REFUSED = requests.ConnectionError("Connection refused")


class Api:
    """In place of an ApiSession: `reply` gives status and body of each request, or an exception."""

    def __init__(self) -> None:
        self.reply: Callable[[str, str], tuple[int, Any] | Exception] = lambda method, path: (200, {})
        self.asked: list[tuple[str, str]] = []
        self.options: list[dict[str, Any]] = []

    def request(self, method: str, url: str, **options: Any) -> requests.Response:
        path = url.removeprefix(URL)
        self.asked.append((method, path))
        self.options.append(options)
        said = self.reply(method, path)
        if isinstance(said, Exception):
            raise said
        status, body = said
        response = requests.Response()
        response.status_code, response.url = status, url
        response._content = body if isinstance(body, bytes) else requests.compat.json.dumps(body).encode()
        response.request = requests.Request(method, url).prepare()
        return response

    def get(self, url: str, **options: Any) -> requests.Response:
        return self.request("GET", url, **options)


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Api:
    made = Api()
    monkeypatch.setattr(module, "ApiSession", lambda *arguments, **options: made)
    return made


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> FakeTime:
    return FakeTime(monkeypatch)


@pytest.fixture
def client(api: Api) -> MasterClient:
    return MasterClient(URL + "/", "token")


@pytest.mark.parametrize(
    ("said", "text"),
    [
        (REFUSED, f"No master responds at {URL}: "),
        ((401, {}), f"The master at {URL} does not accept the token; check --api-token."),
        ((409, {"error": "another run goes on"}), f"The master at {URL} refuses the request: another run goes on"),
        ((404, b"<html>"), f"The server at {URL} "),
        ((200, b"no json"), f"The master at {URL} refuses the request: HTTP 200"),
        ((200, [1]), f"The master at {URL} refuses the request: HTTP 200"),
    ],
)
def test_whatever_answers_instead_of_a_master_is_a_sentence(
    api: Api, client: MasterClient, said: tuple[int, Any] | Exception, text: str
) -> None:
    api.reply = lambda method, path: said
    with pytest.raises(MasterError) as raised:
        client.status()
    assert str(raised.value).startswith(text)


def test_a_run_is_asked_for_when_the_master_is_there(api: Api, client: MasterClient, time: FakeTime) -> None:
    def reply(method: str, path: str) -> tuple[int, Any] | Exception:
        if time.now < 1002:
            return REFUSED
        return 200, {"id": "seven", "workers": 3, "run_id": "20261129-183207-k3v9"}

    api.reply = reply
    ordered = gevent.spawn(client.submit, ORDER)
    time.advance(3)
    assert ordered.value == ("seven", 3, "20261129-183207-k3v9")
    assert api.asked[-1][0] == "POST"
    assert RunRequest.unpack(api.options[-1]["data"]).files == ["a.py"]


def test_a_master_that_never_comes_is_not_waited_for_for_ever(api: Api, client: MasterClient, time: FakeTime) -> None:
    api.reply = lambda method, path: REFUSED
    ordered = gevent.spawn(_error_of, client.submit, ORDER)
    time.advance(7)
    assert not ordered.dead
    time.advance(2)
    assert "No master responds" in str(ordered.value)


def test_an_answer_without_a_run_is_no_master(api: Api, client: MasterClient) -> None:
    api.reply = lambda method, path: (200, {"id": 7})
    with pytest.raises(MasterError, match="is not a master of obswarm"):
        client.submit(ORDER)


def _error_of(function: Callable[..., Any], *arguments: Any) -> str:
    try:
        return f"no error: {function(*arguments)}"
    except MasterError as error:
        return str(error)


def test_a_stop_says_why_and_how(api: Api, client: MasterClient) -> None:
    client.stop("seven", StopReason(StopKind.SIGNAL, "interrupted"), abort=True)
    assert api.asked[-1][1].endswith("/seven/stop")
    assert api.options[-1]["json"] == {"kind": "signal", "detail": "interrupted", "abort": True}


def test_workers_are_waited_for_up_to_a_time(api: Api, client: MasterClient, time: FakeTime) -> None:
    states: dict[str, Any] = {"state": "waiting", "workers": {"a": 1}}
    api.reply = lambda method, path: (200, states) if time.now > 1001 else REFUSED
    first = gevent.spawn(client.wait_for_workers, 2, 5.0)
    time.advance(6)
    assert first.value is False
    second = gevent.spawn(client.wait_for_workers, 2, 5.0)
    time.advance(1)
    states["workers"] = {"a": 1, "b": 1}
    time.advance(1)
    assert second.value is True
    states.update(state="running", workers={})
    assert client.wait_for_workers(9, 0.0)


# News of a run.
class News:
    """What a master tells of a run, in the form in which it does."""

    def __init__(self, api: Api, client: MasterClient) -> None:
        self.boot = "first"
        self.items: list[list[Any]] = []
        self.fails: tuple[int, Any] | Exception | None = None
        self.status: dict[str, Any] = {"state": "running"}
        self.told: list[Any] = []
        api.reply = self._reply
        self.reading = gevent.spawn(self._read, client)

    def _reply(self, method: str, path: str) -> tuple[int, Any] | Exception:
        if not path.endswith("/news"):
            return 200, self.status
        if self.fails is not None:
            return self.fails
        items, self.items = self.items, []
        # As a master does, which answers when there is something, or after a while.
        gevent.sleep(0.1)
        return 200, msgpack.packb([self.boot, items])

    def _read(self, client: MasterClient) -> None:
        try:
            for each in client.events("seven"):
                self.told.append(each)
        except MasterError as error:
            self.told.append(error)

    def tell(self, *content: Any) -> None:
        self.items.append([len(self.told) + len(self.items) + 1, *content])


@pytest.fixture
def news(api: Api, client: MasterClient, time: FakeTime) -> Iterator[News]:
    made = News(api, client)
    time.advance(0)
    yield made
    made.reading.kill()


def test_everything_that_happens_is_told_until_the_end(news: News, time: FakeTime) -> None:
    news.tell("log", 30, "shop", "few apples")
    news.tell("snapshot", pack_snapshot(SNAPSHOT))
    time.advance(1)
    news.tell("end", pack_result(result_of(SNAPSHOT)), 3, None)
    time.advance(1)
    log, snapshot, end = news.told
    assert log == Log(30, "shop", "few apples")
    assert snapshot.total.requests == 1
    assert (end.exit_code, end.error, end.result.run_id) == (3, None, SNAPSHOT.run_id)
    assert news.reading.dead


def test_an_end_without_a_result_has_an_error(news: News, time: FakeTime) -> None:
    news.tell("end", None, 2, "no such module")
    time.advance(1)
    assert news.told == [End(None, 2, "no such module")]


def test_a_master_that_is_away_for_a_while_is_waited_for_and_its_restart_counted(
    news: News, client: MasterClient, time: FakeTime
) -> None:
    time.advance(1)
    news.fails = REFUSED
    time.advance(50)
    assert news.told == []
    news.fails, news.boot = None, "second"
    news.tell("log", 20, "a", "back")
    time.advance(1)
    assert news.told == [Log(20, "a", "back")]
    assert client.restarts == 1


@pytest.mark.parametrize(
    ("fails", "reason"), [(REFUSED, ""), ((500, b"x"), "HTTP 500"), ((200, b"\xc1"), "its response is invalid")]
)
def test_a_master_that_stays_away_ends_the_wait_after_a_minute(
    news: News, time: FakeTime, fails: tuple[int, Any] | Exception, reason: str
) -> None:
    time.advance(1)
    news.fails = fails
    time.advance(59)
    assert news.told == []
    time.advance(3)
    (error,) = news.told
    assert str(error).startswith(f"The master at {URL} has not responded for 1m: ")
    assert reason in str(error)


def test_whoever_gives_up_is_told_at_once(news: News, client: MasterClient, time: FakeTime) -> None:
    news.fails = REFUSED
    client.give_up()
    time.advance(1)
    (error,) = news.told
    assert "has not responded for" in str(error)


def test_a_run_that_is_not_ended_in_time_is_given_up(news: News, client: MasterClient, time: FakeTime) -> None:
    client.give_up_at(time.now + 5)
    time.advance(6)
    (error,) = news.told
    assert str(error) == f"The master at {URL} has not ended the run on request."


def test_a_master_that_waits_and_does_not_know_the_run_has_lost_it(news: News, time: FakeTime) -> None:
    news.fails = (404, {})
    time.advance(10)
    assert news.told == [], "its process may be on its way"
    news.status = {"state": "waiting"}
    time.advance(4)
    assert news.told == []
    time.advance(3)
    (error,) = news.told
    assert "does not know the run any more" in str(error)


@pytest.mark.parametrize("content", [("snapshot",), ("snapshot", b"\xc1"), ("log", "x"), ("end", b"\xc1", 0, None), ()])
def test_news_that_cannot_be_read_are_an_error(news: News, time: FakeTime, content: tuple[Any, ...]) -> None:
    news.tell(*content)
    time.advance(1)
    (error,) = news.told
    assert str(error).startswith(f"An event from the master at {URL} cannot be read: ")


def test_a_snapshot_arrives_as_it_was(news: News, time: FakeTime) -> None:
    changed = replace(SNAPSHOT, users_max=77)
    news.tell("snapshot", pack_snapshot(changed))
    time.advance(1)
    (told,) = news.told
    assert (told.users_max, told.users) == (77, SNAPSHOT.users)
