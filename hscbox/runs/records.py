"""Configuration, schemas and versions that an output was made with: written once, compared afterwards."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

from ..butler.butler import Butler
from ..catalog.schema import Schema
from ..catalog.source_catalog import SourceCatalog
from ..errors import ConfigError
from ..pipeline.config_store import config_text, differences, load_config
from ..pipeline.process_ccd import ProcessCcdConfig, ProcessCcdTask
from ..pipeline.provenance import check_versions
from ..products.catalog import read_catalog
from .arguments import ProcessCcdArguments

__all__ = ["RecordPolicy", "check_records"]

_SHOWN_DIFFERENCES = 40
_CONFIG_HEADER = (
    "import hscbox.pipeline.process_ccd\n"
    "assert type(config)==hscbox.pipeline.process_ccd.ProcessCcdConfig, "
    "'config is of type %s.%s instead of hscbox.pipeline.process_ccd.ProcessCcdConfig' "
    "% (type(config).__module__, type(config).__name__)\n"
)


@dataclass(frozen=True)
class RecordPolicy:
    """What to do about differences between this run and the output's records.

    Attributes
    ----------
    clobber_config
        Replace configuration and schemas.
    backup
        Keep what is replaced as ``name~1``.
    check_versions, clobber_versions, strict_versions
        Compare versions at all; replace their record; refuse other versions.
    """

    clobber_config: bool = False
    backup: bool = True
    check_versions: bool = True
    clobber_versions: bool = False
    strict_versions: bool = False

    @classmethod
    def of(cls, arguments: ProcessCcdArguments) -> RecordPolicy:
        """Return what the options of a command ask for."""
        return cls(
            clobber_config=arguments.clobber_config,
            backup=not arguments.no_backup_config,
            check_versions=not arguments.no_versions,
            clobber_versions=arguments.clobber_versions,
            strict_versions=arguments.strict_versions,
        )


def check_records(
    butler: Butler, config: ProcessCcdConfig, task: ProcessCcdTask, policy: RecordPolicy, log: logging.Logger
) -> Path:
    """Write or compare the records of the butler's output and return the path of the recorded configuration.

    Raises
    ------
    ConfigError
        The configuration or a schema differs from the record (the message holds the differences), or versions
        differ and are to be equal.
    """
    if policy.check_versions:
        check_versions(butler, clobber=policy.clobber_versions, strict=policy.strict_versions, log=log)
    path = _check_config(butler, config, policy)
    _check_schema(butler, "icSrc_schema", task.char_image.schema, policy)
    _check_schema(butler, "src_schema", task.calibrate.schema, policy)
    return path


def _check_config(butler: Butler, config: ProcessCcdConfig, policy: RecordPolicy) -> Path:
    path = butler.write_path("processCcd_config")
    text = _CONFIG_HEADER + config_text(config)
    if path.exists() and path.read_text(encoding="utf-8") == text:
        return path
    if path.exists() and not policy.clobber_config:
        recorded = ProcessCcdConfig()
        load_config(path, recorded)
        changed = differences(recorded, config)
        if changed:
            raise _config_differs(path, changed)
        return path
    return butler.put(text, "processCcd_config", doBackup=policy.backup)


def _config_differs(path: Path, changed: list[str]) -> ConfigError:
    shown = "\n".join(f"  {line}" for line in changed[:_SHOWN_DIFFERENCES])
    more = len(changed) - _SHOWN_DIFFERENCES
    tail = f"\n  and {more} more lines" if more > 0 else ""
    return ConfigError(
        f"The configuration differs from {path} (- recorded, + this run):\n{shown}{tail}\nNothing was changed",
        remedy="Use another --output, the recorded configuration, or --clobber-config",
    )


def _check_schema(butler: Butler, dataset: str, schema: Schema, policy: RecordPolicy) -> None:
    path = butler.write_path(dataset)
    current = SourceCatalog(schema)
    if path.exists():
        recorded = read_catalog(path).schema
        old = {field.name: field.dtype for field in recorded if field.name != "footprint"}
        new = {field.name: field.dtype for field in schema}
        if list(old.items()) == list(new.items()):
            return
        if not policy.clobber_config:
            gone, added = [n for n in old if n not in new], [n for n in new if n not in old]
            raise ConfigError(
                f"The catalogue columns differ from {path}: missing now {gone or 'none'}, new {added or 'none'}",
                remedy="Use another --output, or --clobber-config",
            )
    butler.put(current, dataset, doBackup=policy.backup)
