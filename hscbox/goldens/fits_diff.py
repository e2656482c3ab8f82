"""A FITS diff of a product that is not what it was.

Goldens hold no pixels. They describe every unit of every product: cards, digests, statistics of images, digest and
median of each column. The diff is astropy's, between two small files made of these descriptions; with the product of
an earlier kept run at hand it is astropy's between the products themselves.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from astropy.io import fits

from .products import STRUCTURAL, describe_fits

__all__ = ["diff_descriptions", "diff_files", "is_fits"]

_SHOWN = 30


def is_fits(name: str) -> bool:
    """Return whether a product is a FITS file by its name."""
    return name.endswith(".fits")


def diff_descriptions(golden: Sequence[dict[str, Any]], product: Path) -> str:
    """Return astropy's diff of the golden's description, `a`, and that of a product, `b`."""
    try:
        found = describe_fits(product)
    except (OSError, ValueError, TypeError) as error:
        return f"{product} cannot be read as FITS: {error}"
    heads = [_shapes(number, units, found) for number, units in enumerate(golden)]
    return "".join(heads) + diff_files(_as_hdus(golden), _as_hdus(found))


def _shapes(number: int, unit: dict[str, Any], found: Sequence[dict[str, Any]]) -> str:
    """Return one line on a unit whose data differ: which columns, or that the pixels do."""
    other = found[number] if number < len(found) else {}
    if unit.get("data") == other.get("data"):
        return ""
    mine, theirs = unit.get("columns", {}), other.get("columns", {})
    columns = [name for name in {**mine, **theirs} if mine.get(name, [None])[0] != theirs.get(name, [None])[0]]
    shown = ", ".join(columns[:_SHOWN]) + (f" and {len(columns) - _SHOWN} more" if len(columns) > _SHOWN else "")
    what = f"columns {shown}" if columns else "data"
    return f"\n HDU {number} {unit.get('shape', 'no data')} -> {other.get('shape', 'no data')}: {what} differ"


def diff_files(first: Any, second: Any) -> str:
    """Return astropy's diff of two products, given by path or content; `a` is the first."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            diff = fits.FITSDiff(first, second, numdiffs=_SHOWN)
        except (OSError, ValueError, TypeError) as error:
            return f"{second} cannot be compared: {error}"
        text = io.StringIO()
        diff.report(fileobj=text)
    return "\n".join(line for line in text.getvalue().splitlines() if "<HDUList object" not in line)


def _as_hdus(units: Sequence[dict[str, Any]]) -> fits.HDUList:
    """Build a FITS file out of descriptions: the real cards, and one row with a cell per digest and statistic."""
    hdus = [fits.PrimaryHDU()]
    for number, unit in enumerate(units):
        cells = {"header": unit["header"], "data": f"{unit.get('data', '')} {unit.get('shape', '')}".strip()}
        cells |= {name: f"{value!r}" for name, value in sorted(unit.get("statistics", {}).items())}
        for name, (digest, median) in sorted(unit.get("columns", {}).items()):
            cells[name] = digest if median is None else f"{digest} median {median!r}"
        columns = [fits.Column(name, "64A", array=[text]) for name, text in cells.items()]
        hdu = fits.BinTableHDU.from_columns(columns, name=f"UNIT{number}")
        for keyword, value in unit["cards"].items():
            if keyword not in {"EXTNAME", "EXTVER"} and not keyword.startswith(STRUCTURAL):
                hdu.header[f"HIERARCH {keyword}" if len(keyword) > 8 else keyword] = value
        hdus.append(hdu)
    return fits.HDUList(hdus)
