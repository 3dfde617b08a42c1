"""The page of a process that makes runs: who may use it, its application, and what it shows."""

from typing import TYPE_CHECKING

from obswarm.api import Environment, ObswarmError
from obswarm.app.page_access import access_of
from obswarm.app.page_service import PageService, StartRun
from obswarm.app.planning import RunPlan
from obswarm.cluster import is_loopback
from obswarm.config import RunConfig
from obswarm.web.access import Access
from obswarm.web.web_ui import WebUI

if TYPE_CHECKING:
    from flask import Flask


class Page:
    """The page; its `web_ui` is for a WebServer. Raises ObswarmError for invalid options about access, and if the
    address can be reached by other machines without any."""

    def __init__(
        self,
        config: RunConfig,
        start_run: StartRun | None = None,
        *,
        service: PageService | None = None,
        access: Access | None = None,
    ) -> None:
        """`start_run` starts runs; `service` and `access` are those of a page with its own."""
        address = config.metrics.metrics_addr
        self.access = access or access_of(config)
        if not self.access.required and not is_loopback(address):
            raise ObswarmError(
                f"{config.label('metrics_addr')} {address} can be reached by other machines, and the page starts load"
                " tests: give --web-auth USER:PASSWORD or --web-token-file FILE, or --headless for no page."
            )
        self.service = service or PageService(config, start_run)
        self.environment: Environment | None = None
        """The load test's environment, once it is imported."""
        self.web_ui = WebUI(self.make_application)
        self.service.describe_panels(lambda: self.web_ui.template_args)
        if config.cluster.workers == 0:
            # It takes tens of milliseconds, for which users of this process would have to wait.
            self.import_application()

    @staticmethod
    def import_application() -> None:
        """Import what the application needs."""
        import obswarm.app.locust_pages
        import obswarm.web.rest.application  # noqa: F401

    def make_application(self) -> "Flask":
        """Return the application; the load test's environment has to be known."""
        from obswarm.app.locust_pages import locust_blueprint
        from obswarm.web.rest.application import make_application

        service = self.service
        app = make_application(service, service.live, service.streams, self.access)
        assert self.environment is not None
        app.register_blueprint(locust_blueprint(service, self.environment))
        return app

    def know(self, plan: RunPlan, config: RunConfig) -> None:
        """Note the load test and its environment, which gets the page as its `web_ui`."""
        self.environment = plan.environment
        plan.environment.have_page(self.web_ui)
        self.service.know(plan.loaded, config)
