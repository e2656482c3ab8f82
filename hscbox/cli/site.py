"""`hscbox site list`, `show`, `check` and `wrapper`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["app"]

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    help="Profiles of computing sites: binds, data, scratch, container options, batch system.",
    epilog="Profiles are TOML files: those of hscbox, then `~/.config/hscbox/sites/NAME.toml`, then "
    "`./hscbox-sites/NAME.toml`; what comes later wins, key by key.",
)

Name = Annotated[str, typer.Argument(metavar="NAME", help="Name of the site; see hscbox site list.")]


@app.command("list")
def list_sites() -> None:
    """List the sites, where each comes from and what it is.

    Example: `hscbox site list`
    """
    from ..site.sources import find_profiles, load_profile

    for name, files in find_profiles().items():
        levels = "+".join(level for level, _ in files)
        typer.echo(f"{name:12} {levels:20} {load_profile(name).description}")


@app.command()
def show(name: Name) -> None:
    """Print the effective profile of a site as TOML, with the files that it was made of.

    Example: `hscbox site show ccin2p3 > hscbox-sites/mine.toml`
    """
    from ..site.sources import profile_toml

    typer.echo(profile_toml(name), nl=False)


@app.command()
def check(
    name: Name,
    repository: Annotated[
        Path | None, typer.Argument(metavar="[REPO]", help="Also: do the binds cover what its links lead to?")
    ] = None,
) -> None:
    """Check whether the binds, data and scratch of a site are on this machine.

    Exit status 2: something that must be here is not; 75: the scratch space cannot be used.

    Example: `hscbox site check ccin2p3 input`
    """
    from ..butler.paths import with_prefix
    from ..errors import UsageError
    from ..site.check import check_profile, check_repository_binds
    from ..site.finding import exit_status
    from ..site.sources import load_profile
    from .findings import print_findings

    profile = load_profile(name)
    findings = list(check_profile(profile))
    if repository is not None:
        root = with_prefix(repository, "PIPE_INPUT_ROOT")
        if not root.is_dir():
            raise UsageError(f"No such repository: {root}", remedy="Make one with hscbox mount")
        findings += check_repository_binds(profile, root)
    print_findings(findings, f"site {name}")
    raise typer.Exit(int(exit_status(findings)))


@app.command()
def wrapper(name: Name) -> None:
    """Print a shell script for the host that binds what a repository needs and runs the image.

    Example: `hscbox site wrapper ccin2p3 > run-hscbox && chmod +x run-hscbox`
    """
    from ..site.sources import load_profile
    from ..site.wrapper import wrapper_script

    typer.echo(wrapper_script(load_profile(name)), nl=False)
