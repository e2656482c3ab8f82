"""The numbers of the camera: how many CCDs, how many pixels each has, how a raw frame surrounds them.

Rows are counted in the order of readout. A raw frame is RAW_WIDTH columns wide: per amplifier 8 leading columns, 512
exposed and 16 of overscan (`data/amplifier_boxes.ecsv`). A cut-out has fewer exposed rows, and all the others.

Source: lsst/obs_subaru @ b7c7029d (2017-09-22): hsc/camera.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import keywords as key

if TYPE_CHECKING:
    from ..numerics.arrays import FloatArray

__all__ = [
    "CCD_AREA",
    "CCD_CENTRE",
    "CCD_HEIGHT",
    "CCD_WIDTH",
    "CHANNELS",
    "EXPOSURE_IDS_PER_VISIT",
    "EXTRA_ROWS",
    "LEADING_ROWS",
    "N_CCDS",
    "N_SCIENCE_CCDS",
    "OVERSCAN_ROWS",
    "PIXEL_UM",
    "RAW_HEIGHT",
    "RAW_WIDTH",
    "row_windows",
    "scaled_position",
]

N_CCDS = 112
"""Archived CCDs: 104 for science (0 to 103), 8 for the focus (104 to 111)."""
N_SCIENCE_CCDS = 104
EXPOSURE_IDS_PER_VISIT = 200
"""The id of one CCD exposure is 200 visit + ccd."""

CCD_WIDTH, CCD_HEIGHT = 2048, 4176
"""Columns and rows of the trimmed image of a whole CCD."""
CCD_AREA = CCD_WIDTH * CCD_HEIGHT
CCD_CENTRE = ((CCD_WIDTH - 1) / 2, (CCD_HEIGHT - 1) / 2)
"""Pixel coordinates (x, y) of the centre of a whole CCD, also for a cut-out."""
PIXEL_UM = 15.0
"""Side of a pixel, micrometres."""

CHANNELS = (1, 2, 3, 4)
"""Readout channels of a CCD, as headers count them."""
LEADING_ROWS = 49
"""Unexposed rows before the exposed ones."""
OVERSCAN_ROWS = 16
"""Overscan rows after the exposed ones."""
EXTRA_ROWS = LEADING_ROWS + OVERSCAN_ROWS
"""Rows of a raw frame that are not exposed, in a cut-out too."""
RAW_WIDTH = 2144
"""Columns of a raw frame."""
RAW_HEIGHT = CCD_HEIGHT + EXTRA_ROWS
"""Rows of a complete raw frame; cut-outs have fewer."""


def row_windows(n_rows: int) -> dict[str, int]:
    """Return first and last row (1-based) of the exposed window and of the overscan, by keyword without channel.

    `n_rows` is the number of exposed rows. The numbers are those of CCDs read out at low y, as all real headers have
    them; `keywords.window` completes the keywords.
    """
    last = LEADING_ROWS + n_rows
    return {
        key.EXPOSED_FIRST: LEADING_ROWS + 1,
        key.EXPOSED_LAST: last,
        key.OVERSCAN_FIRST: last + 1,
        key.OVERSCAN_LAST: last + OVERSCAN_ROWS,
    }


def scaled_position(x: FloatArray, y: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return pixel coordinates relative to the centre of a whole CCD, in units of half its size."""
    return (x - CCD_CENTRE[0]) / (CCD_WIDTH / 2), (y - CCD_CENTRE[1]) / (CCD_HEIGHT / 2)
