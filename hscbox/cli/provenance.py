"""`hscbox provenance`."""

from __future__ import annotations

from typing import Annotated

import typer

__all__ = ["provenance"]


def provenance(
    repository: Annotated[str, typer.Argument(metavar="OUTPUT", help="Output repository.")],
    ids: Annotated[
        list[str] | None, typer.Option("--id", help="Data id, e.g. visit=40984; repeat for more keys.")
    ] = None,
) -> None:
    """Print who made the products of each CCD, when, where, from which inputs and with which versions, as JSON.

    Example: `hscbox provenance output --id visit=40984 --id ccd=55`
    """
    import json

    from ..butler.butler import Butler
    from ..butler.data_id import parse_ids
    from ..errors import MissingInputError

    butler = Butler(inputs=repository)
    records = []
    for data_id in parse_ids([ids or []]):
        for reference in butler.subset("processCcd_metadata", dataId=data_id):
            if reference.datasetExists():
                metadata = reference.get()
                records += [json.loads(str(text)) for text in metadata.items.get("processCcd.provenance", [])]
    if not records:
        raise MissingInputError(
            f"No processed CCD in {repository} matches {' '.join(ids or ['everything'])}",
            remedy="Process it first: hscbox process-ccd",
        )
    typer.echo(json.dumps(records, indent=2))
