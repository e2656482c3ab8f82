"""Check master calibrations against the frame before they are applied."""

from __future__ import annotations

from ..errors import DamagedInputError, MissingInputError
from ..image.calib_image import CalibImage

__all__ = ["fitting_calib"]


def fitting_calib(calib: CalibImage | None, kind: str, shape: tuple[int, int]) -> CalibImage:
    """Return the calibration, cut to the first rows if the frame is a cut-out.

    Parameters
    ----------
    calib, kind
        The calibration and what it is, for messages ("bias").
    shape
        Rows and columns of the assembled frame.

    Raises
    ------
    MissingInputError
        There is none although its correction is switched on.
    DamagedInputError
        It has fewer rows or another width than the frame.
    """
    if calib is None:
        raise MissingInputError(
            f"Unable to retrieve {kind}: the frame has none",
            remedy=f"Ingest a {kind} frame for this CCD and date, or switch the correction off",
            kind=kind,
        )
    height, width = calib.image.shape
    if width != shape[1] or height < shape[0]:
        raise DamagedInputError(
            f"{kind.capitalize()} {calib.name or 'frame'} has {height} rows and {width} columns; the frame needs "
            f"{shape[1]} columns and at least {shape[0]} rows",
            remedy="Use a calibration of the same detector, trimmed and assembled",
            kind=kind,
        )
    return calib if height == shape[0] else calib.rows(shape[0])
