"""The words after `process-ccd` and `processCcd.py`, whose options take several values each."""

from __future__ import annotations

import argparse
import functools
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from ..errors import MissingInputError, UsageError
from ..runs.arguments import DEFAULT_TIMEOUT, ProcessCcdArguments

__all__ = ["expand_argument_files", "parse_process_ccd", "positive", "run_words"]

_EXAMPLE = "example: %(prog)s input --output output --id visit=40984 ccd=55 -j 2"


class Parser(argparse.ArgumentParser):
    """A parser whose complaints are errors of ours, in one line."""

    def error(self, message: str) -> NoReturn:
        """Raise `UsageError` instead of printing the usage."""
        raise UsageError(f"{self.prog}: {message}", remedy=f"See {self.prog} --help")


def expand_argument_files(words: Sequence[str], depth: int = 0) -> list[str]:
    """Replace each `@FILE` by the words in it: shell quoting, `#` comments, any number per line.

    Raises
    ------
    MissingInputError
        A file cannot be read.
    UsageError
        Quotes are not closed, or files include each other without end.
    """
    if depth > 10:
        raise UsageError("Argument files include each other in a circle")
    expanded: list[str] = []
    for word in words:
        if not word.startswith("@") or len(word) == 1:
            expanded.append(word)
            continue
        try:
            text = Path(word[1:]).read_text(encoding="utf-8")
            inner = [part for line in text.splitlines() for part in shlex.split(line, comments=True)]
        except OSError as error:
            raise MissingInputError(f"Cannot read argument file {word[1:]}: {error.strerror or error}") from error
        except ValueError as error:
            raise UsageError(f"Argument file {word[1:]}: {error}") from error
        expanded += expand_argument_files(inner, depth + 1)
    return expanded


def positive(text: str) -> int:
    """Return a whole number of at least 1, for argparse."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is less than 1")
    return number


def _parser(program: str) -> Parser:
    parser = Parser(
        prog=program,
        usage="%(prog)s INPUT (--output DIR | --rerun [IN:]OUT) --id KEY=VALUE ... [options]",
        description="Process CCDs: raw to calibrated exposure and source catalogue.",
        epilog=_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("input", metavar="INPUT", help="input repository; must come first")
    add("--output", metavar="DIR", help="output repository; made if needed")
    add("--rerun", metavar="[IN:]OUT", help="output INPUT/rerun/OUT, input INPUT/rerun/IN or INPUT")
    add("--calib", metavar="DIR", help="calibration directory instead of INPUT/CALIB")
    add("--id", nargs="*", action="append", metavar="KEY=VALUE", dest="ids", help="visit=1^5 ccd=0..9:2; repeatable")
    # Both kinds in one list, in the order typed.
    add_overrides = functools.partial(add, dest="overrides", nargs="*", action="extend")
    add_overrides("-c", "--config", type=lambda t: ("-c", t), metavar="NAME=VALUE", help="configuration overrides")
    add_overrides("-C", "--configfile", type=lambda t: ("-C", t), metavar="FILE", help="configuration override files")
    add("-L", "--loglevel", nargs="*", action="extend", metavar="[LOGGER=]LEVEL", dest="log_levels", help="log level")
    add("--longlog", action="store_true", dest="long_log", help="times and places in the log")
    add("--doraise", action="store_true", dest="do_raise", help="stop at the first error, with its traceback")
    add("--show", nargs="+", action="extend", metavar="WHAT", help="config[=PATTERN], tasks, data, run")
    add("-j", "--processes", type=positive, default=1, metavar="N", help="number of processes (default 1)")
    add("-t", "--timeout", type=float, default=DEFAULT_TIMEOUT, metavar="S", help="seconds for all CCDs together")
    add("--clobber-output", action="store_true", help="delete the output first")
    add("--clobber-config", action="store_true", help="replace recorded configuration and schemas, with backup")
    add("--no-backup-config", action="store_true", help="with --clobber-config: no backup")
    add("--clobber-versions", action="store_true", help="replace the recorded versions, with backup")
    add("--no-versions", action="store_true", help="neither compare nor record versions")
    add("--strict-versions", action="store_true", help="refuse to run with other versions than recorded")
    parser.set_defaults(ids=[], overrides=[], log_levels=[], show=[])
    return parser


def parse_process_ccd(argv: Sequence[str], program: str = "processCcd.py") -> ProcessCcdArguments:
    """Parse the words after the name of the command.

    Raises
    ------
    UsageError
        They make no sense.
    MissingInputError
        An argument file cannot be read.
    SystemExit
        Help was asked for and printed.
    """
    parser = _parser(program)
    if argv and argv[0] not in {"-h", "--help"} and argv[0].startswith(("-", "@")):
        raise UsageError(f"{program}: the first argument must be the input repository, not '{argv[0]}'")
    parsed = vars(parser.parse_args(expand_argument_files(argv)))
    if parsed["timeout"] <= 0:
        parsed["timeout"] = DEFAULT_TIMEOUT
    return ProcessCcdArguments(**parsed)


def run_words(words: Sequence[str], program: str) -> int:
    """Process CCDs as the words after the name of the command say, and return the exit status."""
    arguments = parse_process_ccd(words, program)
    from ..site.doctor.quick import preflight

    opened = preflight(arguments)
    from ..runs.run import run_process_ccd

    return run_process_ccd(arguments, opened)
