"""Panels of machines and containers."""

from dashboards.panels import INSTANCES, RATE, Graph, Section, query, rate, share

CONTAINERS = f'{INSTANCES}, name!=""'

_NODE = "No machine is scraped. Start node_exporter with: obswarm up --exporters, or add yours with: --target node=URL"
_CADVISOR = "No containers are scraped. Start their exporter with: obswarm up --stats"
HOSTS = Section(
    "Machines and containers",
    (
        Graph(
            "CPU in use",
            "percentunit",
            "100 % is all cores of a machine. The one that reaches it first is too small, or shares its CPU with"
            " another load.",
            (
                query(
                    f'1 - avg by (instance) (rate(node_cpu_seconds_total{{{INSTANCES}, mode="idle"}}[{RATE}]))',
                    "{{instance}}",
                ),
            ),
            warn=0.8,
            bad=0.95,
            highest=1,
            enable=_NODE,
        ),
        Graph(
            "Pressure",
            "percentunit",
            "Share of time in which processes waited for CPU, I/O or memory (pressure stall information of the"
            " kernel). CPU pressure at half use means a quota; I/O pressure means the disk.",
            tuple(
                query(
                    rate(f"node_pressure_{what}_waiting_seconds_total", INSTANCES, "instance"),
                    f"{what}, {{{{instance}}}}",
                )
                for what in ("cpu", "io", "memory")
            ),
            warn=0.2,
            bad=0.5,
            enable=f"{_NODE} (and a kernel with pressure stall information)",
        ),
        Graph(
            "Network",
            "Bps",
            "Bytes received and sent, without loopback. A plateau at a round number is a limit of the network.",
            (
                query(
                    rate("node_network_receive_bytes_total", f'{INSTANCES}, device!="lo"', "instance"),
                    "in, {{instance}}",
                ),
                query(
                    rate("node_network_transmit_bytes_total", f'{INSTANCES}, device!="lo"', "instance"),
                    "out, {{instance}}",
                ),
            ),
            enable=_NODE,
        ),
        Graph(
            "Disks at work",
            "percentunit",
            "Share of time in which a disk was busy. At 100 %, writers wait.",
            (
                query(
                    f"max by (instance) (rate(node_disk_io_time_seconds_total{{{INSTANCES}}}[{RATE}]))", "{{instance}}"
                ),
            ),
            warn=0.7,
            bad=0.95,
            highest=1,
            enable=_NODE,
        ),
        Graph(
            "Containers: CPU",
            "short",
            "Cores in use by each container of the target.",
            (query(rate("container_cpu_usage_seconds_total", CONTAINERS, "name"), "{{name}}"),),
            stacked=True,
            enable=_CADVISOR,
        ),
        Graph(
            "Containers: throttled",
            "percentunit",
            "Share of periods in which a container had used up its CPU quota. With more than a few per cent, the quota"
            " determines its latency.",
            (
                query(
                    share(
                        rate("container_cpu_cfs_throttled_periods_total", CONTAINERS, "name"),
                        f"({rate('container_cpu_cfs_periods_total', CONTAINERS, 'name')} > 0)",
                    ),
                    "{{name}}",
                ),
            ),
            warn=0.05,
            bad=0.25,
            highest=1,
            enable=_CADVISOR,
        ),
    ),
)
