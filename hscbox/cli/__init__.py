"""The command line: one file per command; each parses, calls one function and prints."""

from __future__ import annotations

import sys
from collections.abc import Callable

from ..errors import ExitStatus, HscboxError
from ..machine.environment import keep_freed_memory

__all__ = ["guarded", "main"]


def main() -> None:
    """Run the `hscbox` command and exit with its status."""
    sys.exit(guarded(_run))


def _run() -> int:
    from .app import app

    app()
    return int(ExitStatus.OK)


def guarded(command: Callable[[], int]) -> int:
    """Call `command`, turning errors meant for users into one line on standard error and an exit status."""
    keep_freed_memory()
    try:
        return command()
    except HscboxError as error:
        print(f"hscbox: error: {error}", file=sys.stderr)
        return int(error.exit_status)
    except KeyboardInterrupt:
        print("hscbox: interrupted", file=sys.stderr)
        return int(ExitStatus.INTERRUPTED)
    except BrokenPipeError:
        # The reader of our output went away, as `| head` does; nobody is left to tell.
        sys.stderr.close()
        return int(ExitStatus.OK)
