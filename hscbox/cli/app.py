"""The `hscbox` application: every command registered in one place."""

from __future__ import annotations

from typing import Annotated

import typer

from ..machine.revision import __version__
from .doctor import doctor
from .export import export
from .ingest import ingest_calibs, ingest_images
from .mount import mount
from .process_ccd import process_ccd
from .provenance import provenance
from .query import query
from .refcat import app as refcat
from .regress import regress
from .selftest import selftest
from .show import show
from .simulate import simulate
from .site import app as site_app
from .validate import validate

__all__ = ["app"]

app = typer.Typer(
    name="hscbox",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="A first result: `hscbox simulate sim`, `hscbox mount input --calib sim/CALIB --ref-cats sim/ref_cats`, "
    "`hscbox ingest-images input sim/raw/*.fits`, "
    "`hscbox process-ccd input --output output --id visit=40984 ccd=55`.",
)


def _version(wanted: bool) -> None:
    if wanted:
        from ..machine.revision import revision

        digits, *dirty = revision().split("-")
        typer.echo(f"hscbox {__version__} (revision {'-'.join([digits[:7], *dirty])})")
        raise typer.Exit


@app.callback()
def hscbox(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print version and revision, and exit.")
    ] = False,
) -> None:
    """Hyper Suprime-Cam CCD frames from raw to calibrated exposure and source catalogue."""


app.command("simulate")(simulate)
app.command("mount")(mount)
app.command("ingest-images")(ingest_images)
app.command("ingest-calibs")(ingest_calibs)
app.command("query")(query)
# Options such as --id take several words each, which only a parser of the classic kind understands; it also
# prints the help.
app.command(
    "process-ccd",
    context_settings={"ignore_unknown_options": True, "allow_extra_args": True, "help_option_names": []},
    short_help="Process CCDs: raw to calibrated exposure and source catalogue.",
)(process_ccd)
app.command("show")(show)
app.add_typer(refcat, name="refcat")
app.command("validate")(validate)
app.command("selftest")(selftest)
app.add_typer(regress, name="regress")
app.command("export")(export)
app.command("provenance")(provenance)
app.command("doctor")(doctor)
app.add_typer(site_app, name="site")
