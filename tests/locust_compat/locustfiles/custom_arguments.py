"""Options of the locustfile's own."""
# run: --my-text hello --my-number 3 --my-flag --my-choice two
# run: --my-text=x
# environ: LOCUST_MY_ENV=from the environment

import observing
from locust import HttpUser, events, task


@events.init_command_line_parser.add_listener
def add(parser):
    group = parser.add_argument_group("mine", "options of mine")
    group.add_argument("--my-text", type=str, default="default", env_var="LOCUST_MY_TEXT", help="a text")
    parser.add_argument("--my-number", type=int, default=7)
    parser.add_argument("--my-flag", action="store_true", default=False)
    parser.add_argument("--my-choice", choices=["one", "two"], default="one")
    parser.add_argument("--my-env", env_var="LOCUST_MY_ENV", default="")
    parser.add_argument("--my-hidden", include_in_web_ui=False, default="hidden")
    parser.add_argument("--my-secret", is_secret=True, default="secret")
    parser.add_argument("--my-list", is_multiple=True, nargs="*", default=["a"])


@events.test_start.add_listener
def started(environment, **kwargs):
    options = environment.parsed_options
    for name in ("my_text", "my_number", "my_flag", "my_choice", "my_env", "my_hidden", "my_secret", "my_list"):
        observing.note(name, getattr(options, name))


class Visitor(HttpUser):
    @task
    def page(self):
        observing.iteration(self, 1)
        self.client.get("/" + self.environment.parsed_options.my_text)
