"""The commands under their names of 2017, with the argument style of that time."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from ..camera.calib_kinds import CALIB_KINDS
from . import guarded
from .arguments import Parser, expand_argument_files, positive, run_words

if TYPE_CHECKING:
    from ..butler.ingest_engine import IngestOptions

__all__ = ["ingest_calibs_main", "ingest_images_main", "process_ccd_main"]


def process_ccd_main() -> None:
    """Run `processCcd.py` and exit with its status."""
    sys.exit(guarded(lambda: run_words(sys.argv[1:], "processCcd.py")))


def ingest_images_main() -> None:
    """Run `ingestImages.py` and exit with its status."""
    sys.exit(guarded(_ingest_images))


def ingest_calibs_main() -> None:
    """Run `ingestCalibs.py` and exit with its status."""
    sys.exit(guarded(_ingest_calibs))


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


def _parse(parser: Parser) -> tuple[argparse.Namespace, IngestOptions]:
    from ..machine.logs import set_level
    from .ingest_output import ingest_options

    parsed = parser.parse_args(expand_argument_files(sys.argv[1:]))
    for level in parsed.loglevel:
        set_level(level)
    return parsed, ingest_options(
        parsed.mode,
        parsed.config,
        dry_run=parsed.dry_run,
        create=parsed.create,
        ignore_ingested=parsed.ignore_ingested,
        bad_files=tuple(parsed.badFile),
        bad_ids=tuple(tuple(words) for words in parsed.badId),
        processes=parsed.processes,
    )


def _ingest_images() -> int:
    parser = _ingest_parser("ingestImages.py", "link", "ingestImages.py input /data/raw/HSCA04098410.fits")
    parsed, options = _parse(parser)
    from ..butler.ingest import ingest_images
    from .ingest_output import run_ingest

    return run_ingest(ingest_images, Path(parsed.input), parsed.files, options)


def _ingest_calibs() -> int:
    example = "ingestCalibs.py input masters/*.fits --calib CALIB --validity 180"
    parser = _ingest_parser("ingestCalibs.py", "move", example)
    parser.add_argument("--validity", type=int, required=True, metavar="DAYS", help="days before and after its date")
    parser.add_argument("--calibType", metavar="TYPE", help=" or ".join(CALIB_KINDS))
    parser.add_argument("--output", metavar="DIR", help="used as --calib if that is not given")
    parsed, options = _parse(parser)
    from .ingest_output import run_ingest_calibs

    place = parsed.calib or parsed.output
    calib = None if place is None else Path(place)
    return run_ingest_calibs(Path(parsed.input), parsed.files, parsed.validity, calib, parsed.calibType, options)
