"""Options of the command `locust` that `obswarm run` does not have, and what to use in place of each."""

_WEB = "The run starts at once; follow it in the terminal, in the dashboards of `obswarm up`, or at /metrics."
_PERIODIC = "Tables come at the end of a run; --headless shows a line every few seconds."
_TLS = "Put a proxy that speaks TLS before the port of --web-port."

INSTEAD = {
    "--autoquit": "The process ends with the run; --linger says how long it waits for a last scrape.",
    "--autostart": _WEB,
    "--class-picker": "Name user classes after the file: obswarm run locustfile.py Visitor Admin.",
    "--config-users": "Set weight, fixed_count, host or wait_time in the file, or by options that it adds itself.",
    "--enable-rebalancing": "Leave it out: users are always spread over the workers that are there.",
    "--equal-weights": "Set weight = 1 in the user classes.",
    "--expect-workers": "It is an option of `obswarm master`; --workers N starts worker processes on this machine.",
    "--expect-workers-max-wait": "It is an option of `obswarm master`.",
    "--html": "A report is written for each stored run; `obswarm report RUN` writes it to a file of your choice.",
    "--json-file": "--json FILE writes the result as JSON.",
    "--master-bind-host": "Use `obswarm master --bind ADDRESS:PORT`.",
    "--master-bind-port": "Use `obswarm master --bind ADDRESS:PORT`.",
    "--master-host": "Use `obswarm worker --master HOST:PORT`.",
    "--master-port": "Use `obswarm worker --master HOST:PORT`.",
    "--otel": "--trace-sample gives requests a trace id; metrics are exported at /metrics.",
    "--print-stats": _PERIODIC,
    "--processes": "Use --workers N: worker processes on this machine.",
    "--profile": "`obswarm runs tag RUN TAG` groups stored runs.",
    "--show-task-ratio-json": "--show-task-ratio prints the ratios as text.",
    "--skip-log": "Use --loglevel ERROR.",
    "--skip-log-setup": "Use --loglevel or --logfile.",
    "--tls-cert": _TLS,
    "--tls-key": _TLS,
    "--web-base-path": _WEB,
    "--web-host": "Use --metrics-addr ADDRESS, with --web-port, for /metrics.",
    "--web-login": _WEB,
    "--worker": "Use `obswarm worker --master HOST`.",
}
"""A sentence for each."""
