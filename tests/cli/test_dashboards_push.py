"""A token that no header can have is said before Grafana is asked."""

from click.testing import CliRunner

from obswarm.api import ObswarmError
from obswarm.cli.dashboards import dashboards


def test_a_token_with_a_line_break_is_a_sentence_without_the_token() -> None:
    arguments = ["push", "--grafana-url", "http://127.0.0.1:1", "--grafana-token", "PLANTED\nb"]
    error = CliRunner().invoke(dashboards, arguments).exception
    assert isinstance(error, ObswarmError)
    assert "--grafana-token has a character that no token has" in str(error)
    assert "PLANTED" not in str(error)
