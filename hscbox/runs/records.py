"""Configuration, schemas and versions that an output was made with: written once, compared afterwards."""

from __future__ import annotations

import logging
from pathlib import Path

from ..butler.butler import Butler
from ..catalog.schema import Schema
from ..catalog.source_catalog import SourceCatalog
from ..errors import ConfigError
from ..pipeline.config_store import config_text, differences
from ..pipeline.overrides import apply_file
from ..pipeline.process_ccd import ProcessCcdConfig, ProcessCcdTask
from ..pipeline.provenance import check_versions
from ..products.catalog import read_catalog
from .arguments import ProcessCcdArguments

__all__ = ["check_records"]

_SHOWN_DIFFERENCES = 40
_CONFIG_HEADER = (
    "import hscbox.pipeline.process_ccd\n"
    "assert type(config)==hscbox.pipeline.process_ccd.ProcessCcdConfig, "
    "'config is of type %s.%s instead of hscbox.pipeline.process_ccd.ProcessCcdConfig' "
    "% (type(config).__module__, type(config).__name__)\n"
)


def check_records(butler: Butler, task: ProcessCcdTask, arguments: ProcessCcdArguments, log: logging.Logger) -> Path:
    """Write or compare the records of the butler's output and return the path of the recorded configuration.

    The options of the command say what is done about differences: refuse, replace, or do not look.

    Raises
    ------
    ConfigError
        The configuration or a schema differs from the record (the message holds the differences), or versions
        differ and are to be equal.
    """
    if not arguments.no_versions:
        check_versions(butler, clobber=arguments.clobber_versions, strict=arguments.strict_versions, log=log)
    path = _check_config(butler, task.config, arguments)
    _check_schema(butler, "icSrc_schema", task.char_image.schema, arguments)
    _check_schema(butler, "src_schema", task.calibrate.schema, arguments)
    return path


def _check_config(butler: Butler, config: ProcessCcdConfig, arguments: ProcessCcdArguments) -> Path:
    path = butler.write_path("processCcd_config")
    text = _CONFIG_HEADER + config_text(config)
    if path.exists() and path.read_text(encoding="utf-8") == text:
        return path
    if path.exists() and not arguments.clobber_config:
        recorded = ProcessCcdConfig()
        apply_file(recorded, path)
        changed = differences(recorded, config)
        if changed:
            raise _config_differs(path, changed)
        return path
    return butler.put(text, "processCcd_config", doBackup=not arguments.no_backup_config)


def _config_differs(path: Path, changed: list[str]) -> ConfigError:
    shown = "\n".join(f"  {line}" for line in changed[:_SHOWN_DIFFERENCES])
    more = len(changed) - _SHOWN_DIFFERENCES
    tail = f"\n  and {more} more lines" if more > 0 else ""
    return ConfigError(
        f"The configuration differs from {path} (- recorded, + this run):\n{shown}{tail}\nNothing was changed",
        remedy="Use another --output, the recorded configuration, or --clobber-config",
    )


def _check_schema(butler: Butler, dataset: str, schema: Schema, arguments: ProcessCcdArguments) -> None:
    path = butler.write_path(dataset)
    current = SourceCatalog(schema)
    if path.exists():
        recorded = read_catalog(path).schema
        old = {field.name: field.dtype for field in recorded if field.name != "footprint"}
        new = {field.name: field.dtype for field in schema}
        if list(old.items()) == list(new.items()):
            return
        if not arguments.clobber_config:
            gone, added = [n for n in old if n not in new], [n for n in new if n not in old]
            raise ConfigError(
                f"The catalogue columns differ from {path}: missing now {gone or 'none'}, new {added or 'none'}",
                remedy="Use another --output, or --clobber-config",
            )
    butler.put(current, dataset, doBackup=not arguments.no_backup_config)
