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

    from ..butler.data_id import cast_value, parse_ids
    from ..butler.lookup import ALL_KEYS
    from ..errors import MissingInputError
    from ..pipeline.record import to_text
    from ..runs.store import newest_records

    records = {}
    for data_id in parse_ids([words or []]):
        wanted = {key: cast_value(key, value, ALL_KEYS) for key, value in data_id.items()}
        for record in newest_records(repository, wanted):
            records[record.data_id["visit"], record.data_id["ccd"]] = json.loads(to_text(record))
    if not records:
        raise MissingInputError(
            f"No processed CCD in {repository}" + (f" matches {' '.join(words)}" if words else ""),
            remedy="Process it first: hscbox process-ccd",
        )
    typer.echo(json.dumps(list(records.values()), indent=2))
