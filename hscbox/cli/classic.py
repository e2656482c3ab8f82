"""The commands under their names of 2017, with the argument style of that time."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ..camera.calib_kinds import CALIB_KINDS
from ..errors import ExitStatus
from . import guarded
from .arguments import Parser, expand_argument_files, parse_process_ccd, positive

__all__ = ["ingest_calibs_main", "ingest_images_main", "process_ccd_main"]


def process_ccd_main() -> None:
    """Run `processCcd.py` and exit with its status."""
    sys.exit(guarded(lambda: _process_ccd(sys.argv[1:])))


def ingest_images_main() -> None:
    """Run `ingestImages.py` and exit with its status."""
    sys.exit(guarded(lambda: _ingest_images(sys.argv[1:])))


def ingest_calibs_main() -> None:
    """Run `ingestCalibs.py` and exit with its status."""
    sys.exit(guarded(lambda: _ingest_calibs(sys.argv[1:])))


def _process_ccd(words: Sequence[str]) -> int:
    arguments = _parsed(lambda: parse_process_ccd(words))
    if isinstance(arguments, int):
        return arguments
    from ..site.doctor.quick import preflight

    opened = preflight(arguments)
    from ..runs.run import run_process_ccd

    return run_process_ccd(arguments, opened)


def _parsed(parse: Callable[[], Any]) -> Any:
    """Return what was parsed, or the exit status after help was printed."""
    try:
        return parse()
    except SystemExit as stop:
        return int(stop.code or ExitStatus.OK)


def _ingest_parser(program: str, mode: str, example: str) -> Parser:
    parser = Parser(prog=program, epilog=f"example: {example}")
    add = parser.add_argument
    add("input", metavar="INPUT", help="input repository")
    add("files", metavar="FILES", nargs="+", help="files, patterns, directories, or - for a list on standard input")
    add("--mode", choices=("link", "copy", "move", "skip"), default=mode, help=f"default {mode}")
    add("-n", "--dry-run", action="store_true", help="say what would be done, do nothing")
    add("--create", action="store_true", help="begin a new registry")
    add("--ignore-ingested", action="store_true", help="leave out what is registered")
    add("--badFile", nargs="*", action="extend", default=[], metavar="PATTERN", help="base names to leave out")
    add("--badId", nargs="*", action="append", default=[], metavar="KEY=VALUE", help="data id to leave out")
    add("-c", "--config", nargs="*", action="extend", default=[], metavar="NAME=VALUE", help="e.g. clobber=True")
    add("-L", "--loglevel", nargs="*", action="extend", default=[], metavar="[LOGGER=]LEVEL", help="log level")
    add("-j", "--processes", type=positive, default=1, metavar="N", help="processes that read headers")
    add("--calib", metavar="DIR", help="calibration directory")
    return parser


def _options(parsed: argparse.Namespace) -> Any:
    from ..butler.delivery import Mode
    from ..butler.ingest_engine import IngestOptions
    from ..machine.logs import set_level
    from .ingest_output import config_options

    for level in parsed.loglevel:
        set_level(level)
    return IngestOptions(
        **{
            "mode": Mode(parsed.mode),
            "dry_run": parsed.dry_run,
            "create": parsed.create,
            "ignore_ingested": parsed.ignore_ingested,
            "bad_files": tuple(parsed.badFile),
            "bad_ids": tuple(tuple(words) for words in parsed.badId),
            "processes": parsed.processes,
            **config_options(parsed.config),
        }
    )


def _ingest_images(words: Sequence[str]) -> int:
    parser = _ingest_parser("ingestImages.py", "link", "ingestImages.py input /data/raw/HSCA04098410.fits")
    parsed = _parsed(lambda: parser.parse_args(expand_argument_files(words)))
    if isinstance(parsed, int):
        return parsed
    from .ingest_images import run_ingest_images

    return run_ingest_images(Path(parsed.input), parsed.files, _options(parsed))


def _ingest_calibs(words: Sequence[str]) -> int:
    example = "ingestCalibs.py input masters/*.fits --calib CALIB --validity 180"
    parser = _ingest_parser("ingestCalibs.py", "move", example)
    parser.add_argument("--validity", type=int, required=True, metavar="DAYS", help="days before and after its date")
    parser.add_argument("--calibType", metavar="TYPE", help=" or ".join(CALIB_KINDS))
    parser.add_argument("--output", metavar="DIR", help="used as --calib if that is not given")
    parsed = _parsed(lambda: parser.parse_args(expand_argument_files(words)))
    if isinstance(parsed, int):
        return parsed
    from .ingest_calibs import run_ingest_calibs

    calib = parsed.calib or parsed.output
    return run_ingest_calibs(
        Path(parsed.input),
        parsed.files,
        parsed.validity,
        None if calib is None else Path(calib),
        parsed.calibType,
        _options(parsed),
    )
