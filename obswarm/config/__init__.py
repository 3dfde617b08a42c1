"""The configuration of a run: one typed value, with the origin of each setting."""

from obswarm.on_demand import imported_on_demand

with imported_on_demand(__name__):
    from obswarm.config.merge import at_service, for_client, useless_settings
    from obswarm.config.run_config import (
        HIGHEST_SPAWN_RATE,
        LOG_LEVELS,
        MOST_USERS,
        MOST_WORKERS,
        SETTINGS,
        STORE_FOLDER,
        AccessConfig,
        FileConfig,
        RunConfig,
        TargetTable,
    )
    from obswarm.config.setting import Origin, Scope, Setting, Source
    from obswarm.config.tables import check_keys, file_config, list_of_texts, read_file_config, table_place
    from obswarm.config.text import option_text, setting_text
    from obswarm.config.toml_file import RENAMED_GUARD_KEYS, given_to_locust, read_document
    from obswarm.config.wire import BadConfig, from_master, from_wire, to_wire, to_workers

__all__ = [
    "HIGHEST_SPAWN_RATE",
    "LOG_LEVELS",
    "MOST_USERS",
    "MOST_WORKERS",
    "RENAMED_GUARD_KEYS",
    "SETTINGS",
    "STORE_FOLDER",
    "AccessConfig",
    "BadConfig",
    "FileConfig",
    "Origin",
    "RunConfig",
    "Scope",
    "Setting",
    "Source",
    "TargetTable",
    "at_service",
    "check_keys",
    "file_config",
    "for_client",
    "from_master",
    "from_wire",
    "given_to_locust",
    "list_of_texts",
    "option_text",
    "read_document",
    "read_file_config",
    "setting_text",
    "table_place",
    "to_wire",
    "to_workers",
    "useless_settings",
]
