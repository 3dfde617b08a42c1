"""Databases and caches, each as a section."""

from dashboards.panels import INSTANCES, Graph, Section, query, rate, share

_MYSQL = "No MySQL is scraped. Start its exporter with: obswarm up --exporters, or add yours with: --target mysql=URL"
MYSQL = Section(
    "MySQL and MariaDB",
    (
        Graph(
            "Threads running",
            "short",
            "Statements that are being executed. More than a few per CPU mean that they wait for each other. If this"
            " increases before anything else changes, the database is the cause.",
            (query(f"sum by (instance) (mysql_global_status_threads_running{{{INSTANCES}}})", "{{instance}}"),),
            warn=8,
            bad=16,
            decimals=0,
            enable=_MYSQL,
        ),
        Graph(
            "Time per statement",
            "s",
            "By digest, from the performance schema: the five slowest at the moment. The one that grows first lacks an"
            " index, or waits for a lock.",
            (
                query(
                    "topk(5, "
                    + share(
                        rate("mysql_perf_schema_events_statements_seconds_total", INSTANCES, "digest_text"),
                        f"({rate('mysql_perf_schema_events_statements_total', INSTANCES, 'digest_text')} > 0)",
                    )
                    + ")",
                    "{{digest_text}}",
                ),
            ),
            bad=0.1,
            enable="No statements of the performance schema: start mysqld with --performance-schema=ON and"
            " mysqld_exporter with --collect.perf_schema.eventsstatements.",
        ),
        Graph(
            "Share of the database's time",
            "short",
            "Seconds of execution per second, by digest: the average number of concurrent executions of each"
            " statement. The widest band uses most of the database's time.",
            (
                query(
                    "topk(5, "
                    + rate("mysql_perf_schema_events_statements_seconds_total", INSTANCES, "digest_text")
                    + " > 0.01)",
                    "{{digest_text}}",
                ),
            ),
            stacked=True,
            enable=_MYSQL,
        ),
        Graph(
            "Waits for row locks",
            "short",
            "Statements that wait for a row lock now, and waits per second. Constantly above zero means contention on"
            " a few rows: look for an UPDATE among the statements.",
            (
                query(f"sum(mysql_global_status_innodb_row_lock_current_waits{{{INSTANCES}}})", "waiting now"),
                query(rate("mysql_global_status_innodb_row_lock_waits", INSTANCES), "waits per second"),
            ),
            warn=1,
            bad=5,
            enable=_MYSQL,
        ),
        Graph(
            "Queries, and slow ones",
            "ops",
            "Queries per second, and those above long_query_time. Fewer queries at the same load mean that each takes"
            " longer.",
            (
                query(rate("mysql_global_status_questions", INSTANCES), "queries"),
                query(rate("mysql_global_status_slow_queries", INSTANCES), "slow"),
            ),
            enable=_MYSQL,
        ),
        Graph(
            "Connections",
            "percentunit",
            "Share of max_connections. At 100 %, further connections are refused; a plateau below it is the limit of"
            " the application's pool.",
            (
                query(
                    share(
                        f"max by (instance) (mysql_global_status_threads_connected{{{INSTANCES}}})",
                        f"max by (instance) (mysql_global_variables_max_connections{{{INSTANCES}}})",
                    ),
                    "{{instance}}",
                ),
            ),
            warn=0.8,
            bad=0.95,
            highest=1,
            enable=_MYSQL,
        ),
        Graph(
            "Buffer pool misses",
            "percentunit",
            "Share of reads from disk. With more than a few per cent, the working set does not fit into"
            " innodb_buffer_pool_size.",
            (
                query(
                    share(
                        rate("mysql_global_status_innodb_buffer_pool_reads", INSTANCES),
                        rate("mysql_global_status_innodb_buffer_pool_read_requests", INSTANCES),
                    ),
                    "misses",
                ),
            ),
            warn=0.01,
            bad=0.05,
            enable=_MYSQL,
        ),
        Graph(
            "Flushes to the disk",
            "ops",
            "Flushes of data and log per second. One for each commit (innodb_flush_log_at_trx_commit=1) on a slow"
            " disk limits the rate of commits.",
            (query(rate("mysql_global_status_innodb_data_fsyncs", INSTANCES), "fsyncs"),),
            enable=_MYSQL,
        ),
    ),
)

_POSTGRES = "No PostgreSQL is scraped. Add postgres_exporter with: obswarm up --target postgres=URL"
POSTGRES = Section(
    "PostgreSQL",
    (
        Graph(
            "Backends by state",
            "short",
            "Active backends execute a statement; backends idle in transaction hold locks while the application does"
            " something else.",
            (query(f"sum by (state) (pg_stat_activity_count{{{INSTANCES}}})", "{{state}}"),),
            decimals=0,
            stacked=True,
            enable=_POSTGRES,
        ),
        Graph(
            "Commits and rollbacks",
            "ops",
            "Fewer commits at the same load mean that each takes longer; increasing rollbacks are errors or deadlocks.",
            (
                query(rate("pg_stat_database_xact_commit", INSTANCES), "commits"),
                query(rate("pg_stat_database_xact_rollback", INSTANCES), "rollbacks"),
                query(rate("pg_stat_database_deadlocks", INSTANCES), "deadlocks"),
            ),
            enable=_POSTGRES,
        ),
        Graph(
            "Locks by mode",
            "short",
            "Locks that are held or waited for. Increasing numbers of exclusive locks mean contention.",
            (query(f"sum by (mode) (pg_locks_count{{{INSTANCES}}})", "{{mode}}"),),
            decimals=0,
            enable=_POSTGRES,
        ),
        Graph(
            "Connections",
            "percentunit",
            "Share of max_connections. At 100 %, further connections are refused.",
            (
                query(
                    share(
                        f"sum by (instance) (pg_stat_activity_count{{{INSTANCES}}})",
                        f"max by (instance) (pg_settings_max_connections{{{INSTANCES}}})",
                    ),
                    "{{instance}}",
                ),
            ),
            warn=0.8,
            bad=0.95,
            highest=1,
            enable=_POSTGRES,
        ),
        Graph(
            "Reads that miss the buffers",
            "percentunit",
            "Share of blocks that were not in shared_buffers. With more than a few per cent, the working set does not"
            " fit.",
            (
                query(
                    share(
                        rate("pg_stat_database_blks_read", INSTANCES),
                        f"({rate('pg_stat_database_blks_read', INSTANCES)}"
                        f" + {rate('pg_stat_database_blks_hit', INSTANCES)})",
                    ),
                    "misses",
                ),
            ),
            warn=0.01,
            bad=0.05,
            enable=_POSTGRES,
        ),
    ),
    collapsed=True,
)

_REDIS = "No Redis is scraped. Add redis_exporter with: obswarm up --target redis=URL"
REDIS = Section(
    "Redis",
    (
        Graph(
            "Commands",
            "ops",
            "Commands per second. Redis executes one at a time: a plateau with increasing latency means a saturated"
            " core.",
            (query(rate("redis_commands_processed_total", INSTANCES), "commands"),),
            enable=_REDIS,
        ),
        Graph(
            "Time per command",
            "s",
            "Mean over all commands. It increases with commands on large values (KEYS, SMEMBERS), or if the machine"
            " is busy.",
            (
                query(
                    share(
                        rate("redis_commands_duration_seconds_total", INSTANCES),
                        rate("redis_commands_total", INSTANCES),
                    ),
                    "a command",
                ),
            ),
            bad=0.001,
            enable=_REDIS,
        ),
        Graph(
            "Clients",
            "short",
            "Connected clients, and those in a blocking command.",
            (
                query(f"sum(redis_connected_clients{{{INSTANCES}}})", "connected"),
                query(f"sum(redis_blocked_clients{{{INSTANCES}}})", "blocked"),
            ),
            decimals=0,
            enable=_REDIS,
        ),
        Graph(
            "Evictions and misses",
            "ops",
            "Keys evicted for lack of memory, and lookups of missing keys. Evictions cause misses, and misses cause"
            " queries to the database.",
            (
                query(rate("redis_evicted_keys_total", INSTANCES), "evicted"),
                query(rate("redis_keyspace_misses_total", INSTANCES), "missed"),
            ),
            bad=1,
            enable=_REDIS,
        ),
    ),
    collapsed=True,
)
