"""`hscbox provenance`."""

from __future__ import annotations

from typing import Annotated

import typer

__all__ = ["provenance"]


def provenance(
    repository: Annotated[str, typer.Argument(metavar="OUTPUT", help="Output repository.")],
    words: Annotated[
        list[str] | None, typer.Argument(metavar="[KEY=VALUE]...", help="Data id, such as visit=40984 ccd=55.")
    ] = None,
) -> None:
    """Print who made the products of each CCD, when, where, from which inputs and with which versions, as JSON.

    Example: `hscbox provenance output visit=40984 ccd=55`
    """
    import json

    from ..butler.butler import Butler
    from ..butler.data_id import parse_ids
    from ..errors import MissingInputError

    butler = Butler(inputs=repository)
    records = []
    for data_id in parse_ids([words or []]):
        for reference in butler.subset("processCcd_metadata", dataId=data_id):
            if reference.datasetExists():
                metadata = reference.get()
                records += [json.loads(str(text)) for text in metadata.items.get("processCcd.provenance", [])]
    if not records:
        raise MissingInputError(
            f"No processed CCD in {repository}" + (f" matches {' '.join(words)}" if words else ""),
            remedy="Process it first: hscbox process-ccd",
        )
    typer.echo(json.dumps(records, indent=2))
