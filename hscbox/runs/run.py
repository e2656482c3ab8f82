"""The process-ccd command: from its arguments to an exit status."""

from __future__ import annotations

import logging
import os
import shutil
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from lsst.pex.config import FieldValidationError

from ..butler.butler import Butler
from ..butler.data_id import format_data_id, parse_ids
from ..butler.lookup import Expansion
from ..butler.paths import rerun_paths, with_prefix
from ..butler.repository import Opened, Repository, chain, is_repository, open_repository
from ..errors import ConfigError, ExitStatus, MissingInputError, UnknownDataIdError, UsageError
from ..machine.files import output_failure
from ..machine.logs import configure_logging, set_level
from ..pipeline.config_store import config_digest
from ..pipeline.overrides import apply_assignment, apply_file
from ..pipeline.process_ccd import ProcessCcdConfig, ProcessCcdTask
from ..pipeline.provenance import verify_dispatch
from ..pipeline.record import CcdRecord, RunRecord
from .arguments import DEFAULT_TIMEOUT, ProcessCcdArguments
from .execution import RunSetup, combined_status, run_ccds
from .records import check_records
from .show import show
from .store import kept_run
from .summary import print_summary

__all__ = ["run_process_ccd"]

log = logging.getLogger("processCcd")


@dataclass(frozen=True)
class _Places:
    """Absolute paths of the repositories."""

    input: Path
    output: Path | None
    calib: Path | None


def run_process_ccd(arguments: ProcessCcdArguments, opened: Opened | None = None) -> int:
    """Process the CCDs that `arguments` ask for and return the exit status.

    Parameters
    ----------
    arguments
        What was typed.
    opened
        Repositories that are open already.

    Raises
    ------
    HscboxError
        The request itself is at fault; errors of single CCDs only show in the status.
    """
    configure_logging(arguments.long_log)
    for level in arguments.log_levels:
        set_level(level)
    places = _places(arguments)
    config = _config(arguments)
    shown = show(arguments.show, config)
    running = shown.run or not shown.anything
    if running and places.output is None:
        raise UsageError("No output", remedy="Give --output DIR or --rerun NAME")
    if not running and not (shown.data and arguments.ids):
        return int(ExitStatus.OK)
    opened = {} if opened is None else opened
    if places.output is None or not running:
        butler = Butler(inputs=places.input, calib_root=places.calib, quiet=True, opened=opened)
    else:
        new = arguments.clobber_output
        butler = Butler.for_run(places.input, places.output, calib_root=places.calib, opened=opened, new=new)
    # The complete data ids that the registry knows, without repetition, and the requests it does not.
    ids = butler.expand(parse_ids(arguments.ids)) if arguments.ids else Expansion()
    if shown.data:
        for data_id in ids.found:
            print(f"id dataRef.dataId = {data_id}")
    if places.output is None or not running:
        return int(ExitStatus.OK)
    if not ids.found and ids.missing:
        raise _unknown(places.input, ids)
    if arguments.clobber_output:
        _clobber(places.output, chain([open_repository(places.input, places.calib, opened=opened)]))
    return _process(arguments, places, places.output, butler, config, ids)


def _places(arguments: ProcessCcdArguments) -> _Places:
    root = with_prefix(arguments.input, "PIPE_INPUT_ROOT")
    if not root.is_dir():
        raise MissingInputError(f"Input repository {root} is not a directory", remedy="Make it with: hscbox mount REPO")
    calib_root = None
    if arguments.calib or os.environ.get("PIPE_CALIB_ROOT"):
        calib_root = with_prefix(arguments.calib or "", "PIPE_CALIB_ROOT")
    if arguments.rerun and arguments.output:
        raise UsageError("--output and --rerun cannot be given together")
    if arguments.rerun:
        source, output = rerun_paths(root, arguments.rerun)
        if not source.is_dir():
            raise MissingInputError(f"There is no rerun {source}", remedy="Its name stands before the colon")
        return _Places(source, output, calib_root)
    return _Places(root, with_prefix(arguments.output, "PIPE_OUTPUT_ROOT") if arguments.output else None, calib_root)


def _config(arguments: ProcessCcdArguments) -> ProcessCcdConfig:
    config = ProcessCcdConfig()
    for kind, text in arguments.overrides:
        if kind == "-C":
            apply_file(config, text)
        else:
            apply_assignment(config, text)
    try:
        config.validate()
    except (FieldValidationError, ValueError) as error:
        raise ConfigError(" ".join(str(error).partition("For more information")[0].split())) from error
    return config


def _process(
    arguments: ProcessCcdArguments,
    places: _Places,
    output: Path,
    butler: Butler,
    config: ProcessCcdConfig,
    ids: Expansion,
) -> int:
    started = time.monotonic()
    root = logging.getLogger("root")
    root.info("Running: %s", " ".join(sys.argv))
    verify_dispatch(root)
    new_output = not is_repository(output)
    task = ProcessCcdTask(config, butler, config_digest(config))
    config_path = check_records(butler, task, arguments, log)
    if not ids.found:
        log.warning("No data to process: no --id was given; configuration and schemas are written")
        return int(ExitStatus.OK)
    run = RunRecord(
        run="",
        new_output=new_output,
        input=str(places.input),
        processes=arguments.processes,
        ccds=len(ids.found),
        missing=tuple(format_data_id(data_id) for data_id in ids.missing),
    )
    with kept_run(output, run) as kept:
        setup = RunSetup(
            places.input,
            output,
            places.calib,
            config_path,
            kept.place,
            tuple(arguments.log_levels),
            arguments.long_log,
            arguments.do_raise,
        )
        timeout = arguments.timeout if arguments.timeout > 0 else DEFAULT_TIMEOUT
        records = run_ccds(task, setup, ids.found, processes=arguments.processes, timeout=timeout)
        records += _missing_records(places.input, ids)
        kept.status = combined_status(records)
    print_summary(records, time.monotonic() - started)
    return kept.status


def _unknown(root: Path, ids: Expansion) -> UnknownDataIdError:
    reason, remedy = "", f"List what there is with: hscbox query {root}"
    if ids.lost:
        reason, remedy = f": {ids.lost[0].message}", ids.lost[0].remedy or remedy
    return UnknownDataIdError(f"{ids.missing_summary()} in {root}{reason}", remedy=remedy, missing=len(ids.missing))


def _missing_records(root: Path, ids: Expansion) -> Iterator[CcdRecord]:
    """Yield a failure for each id that stands for nothing; the log gets one line for all."""
    if not ids.missing:
        return
    error = _unknown(root, ids)
    log.error("%s", error)
    for data_id in ids.missing:
        record = CcdRecord(data_id={"visit": "?", "ccd": "?", **data_id})
        yield record.lost(error.code, int(error.exit_status), f"No data found for {format_data_id(data_id)}")


def _clobber(output: Path, inputs: Iterable[Repository]) -> None:
    if output.is_symlink():
        raise UsageError(
            f"{output} is a symbolic link, which --clobber-output does not follow",
            remedy="Give the directory that it leads to",
        )
    if not output.exists():
        return
    place = output.resolve()
    for used in (repository.root.resolve() for repository in inputs):
        if place == used or place in used.parents:
            raise UsageError(f"--clobber-output would delete the input {used}")
    if not (output / "repositoryCfg.yaml").exists():
        raise UsageError(
            f"{output} is no output repository (no repositoryCfg.yaml); it is not deleted",
            remedy="Remove it yourself if that is what you want",
        )
    try:
        shutil.rmtree(output)
    except OSError as error:
        raise output_failure(output, error) from error
