"""The contest: a Flask application. `create_application` composes it; uWSGI imports it from wsgi.py."""

import hashlib
import hmac
import threading
import time
import zlib

import telemetry
from checking import CheckerUnavailable
from database import Unavailable
from flask import Flask, jsonify, request, session
from pauses import Pauses
from protection import PRIVILEGED_RUN

_CODE_LIMIT = 20_000


class Leaderboard:
    """Computed at most once in `leaderboard_cache_s` seconds by each process, unless all expire at once."""

    def __init__(self, store, settings):
        self._store = store
        self._settings = settings
        self._lock = threading.Lock()
        self._rows = []
        self._made_s = None
        self._period = None

    def rows(self):
        current = self._settings.current
        valid_s = current.leaderboard_cache_s
        if not valid_s:
            telemetry.CACHE.labels("leaderboard", "miss").inc()
            return self._store.leaderboard()
        if current.leaderboard_expires_at_once:
            return self._rows_of_period(int(time.time() // valid_s))
        with self._lock:
            if self._made_s is None or time.monotonic() - self._made_s > valid_s:
                telemetry.CACHE.labels("leaderboard", "miss").inc()
                self._rows = self._store.leaderboard()
                self._made_s = time.monotonic()
            else:
                telemetry.CACHE.labels("leaderboard", "hit").inc()
            return self._rows

    def _rows_of_period(self, period):
        if self._period == period:
            telemetry.CACHE.labels("leaderboard", "hit").inc()
            return self._rows
        telemetry.CACHE.labels("leaderboard", "miss").inc()
        self._rows = self._store.leaderboard()
        self._period = period
        return self._rows


def password_hash(name, password):
    """As in data.sql. A real service would use a slow hash function; it is not the subject of the load test."""
    return hashlib.sha256(f"{name}:{password}".encode()).hexdigest()


def create_application(store, settings, captcha, secret_key, checker):
    app = Flask("contest")
    app.secret_key = secret_key
    leaderboard = Leaderboard(store, settings)
    pauses = Pauses(settings)

    def document():
        values = request.get_json(silent=True)
        return values if isinstance(values, dict) else {}

    def refuse(status, text):
        return jsonify(error=text), status

    @app.before_request
    def start():
        request.started_s = time.perf_counter()
        pauses.take()

    @app.after_request
    def measure(response):
        endpoint = request.endpoint or "none"
        telemetry.REQUEST_DURATION.labels(endpoint).observe(time.perf_counter() - request.started_s)
        telemetry.RESPONSES.labels(endpoint, f"{response.status_code // 100}xx").inc()
        if PRIVILEGED_RUN in request.environ:
            telemetry.PRIVILEGED.inc()
        return response

    @app.errorhandler(Unavailable)
    def unavailable(error):
        return refuse(503, f"the database: {error}")

    @app.errorhandler(CheckerUnavailable)
    def checker_unavailable(error):
        return refuse(503, f"the checker: {error}")

    @app.errorhandler(404)
    def not_found(error):
        return refuse(404, "there is no such page")

    @app.get("/health")
    def health():
        return jsonify(status="ok")

    @app.get("/captcha")
    def ask():
        return jsonify(captcha.ask())

    @app.post("/login")
    def login():
        values = document()
        name, password = str(values.get("name", "")), str(values.get("password", ""))
        answer = values.get("captcha")
        answer = answer if isinstance(answer, dict) else {}
        if PRIVILEGED_RUN not in request.environ and not captcha.is_right(answer.get("id"), answer.get("answer")):
            telemetry.REFUSED.labels("captcha").inc()
            return refuse(403, "answer the question of /captcha")
        user = store.user(name)
        if user is None or not hmac.compare_digest(user["password_hash"], password_hash(name, password)):
            return refuse(401, "name or password is wrong")
        session["user_id"] = user["id"]
        return jsonify(name=user["name"])

    @app.get("/problems")
    def problems():
        return jsonify(problems=store.problems())

    @app.get("/problems/<int:number>")
    def problem(number):
        found = store.problem(number)
        if found is None:
            return refuse(404, f"there is no problem {number}")
        count = settings.current.queries_per_problem
        return jsonify({**found, "recent": store.recent_one_by_one(count)} if count else found)

    @app.post("/submit")
    def submit():
        user_id = session.get("user_id")
        if user_id is None:
            return refuse(401, "log in first")
        values = document()
        code = str(values.get("code", ""))
        if not code or len(code) > _CODE_LIMIT:
            return refuse(400, f"code has 1 to {_CODE_LIMIT} characters")
        number = values.get("problem")
        found = store.problem(number) if isinstance(number, int) else None
        if found is None:
            return refuse(404, f"there is no problem {number}")
        checker.check(code)
        # Replaces the evaluation of the program: half of all programs are right.
        verdict = "accepted" if zlib.crc32(code.encode()) % 2 else "wrong answer"
        return jsonify(submission=store.submit(user_id, found, verdict, code), verdict=verdict)

    @app.get("/leaderboard")
    def show_leaderboard():
        return jsonify(leaderboard=leaderboard.rows())

    return app
