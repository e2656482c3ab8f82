"""`hscbox doctor`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["doctor"]


def doctor(
    repository: Annotated[
        Path | None, typer.Argument(metavar="[REPO]", help="Input or output repository; without it, only the machine.")
    ] = None,
    site: Annotated[
        str | None, typer.Option("--site", metavar="NAME", help="Also check the profile of a site.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", metavar="DIR", help="Where a run would write. [default: here]")
    ] = None,
    processes: Annotated[int, typer.Option("-j", "--processes", min=1, help="Processes that a run would have.")] = 1,
    ccds: Annotated[int, typer.Option("--ccds", min=1, help="CCDs that a run would process.")] = 1,
    json_file: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Also write the findings to this file.")
    ] = None,
) -> None:
    """Check whether everything is as a run needs it, and say what to do where it is not.

    Looked at: image, versions, processor, the links of the repository, locks, what killed runs left, records of runs,
    space, memory.
    Exit status 2: the set-up is wrong; 75: the machine is in the way (full disk, no locks, no memory).

    Example: `hscbox doctor input --output output -j 8 --ccds 104`
    """
    import json

    from ..butler.paths import with_prefix
    from ..machine.files import write_bytes
    from ..site.doctor.checks import run_checks
    from ..site.finding import Context, exit_status
    from ..site.sources import load_profile
    from .findings import print_findings

    root = None if repository is None else with_prefix(repository, "PIPE_INPUT_ROOT")
    place = None if output is None else with_prefix(output, "PIPE_OUTPUT_ROOT")
    profile = None if site is None else load_profile(site)
    findings = list(run_checks(Context(root, place, processes, ccds, profile)))
    status = exit_status(findings)
    print_findings(findings, f"doctor: {'this machine' if root is None else root}")
    if json_file is not None:
        content = {"exitStatus": int(status), "findings": [finding.as_dict() for finding in findings]}
        write_bytes(json_file, (json.dumps(content, indent=1) + "\n").encode())
    raise typer.Exit(int(status))
