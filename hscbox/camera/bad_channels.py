"""Readout channels that the observatory declares unusable."""

from __future__ import annotations

from .tables import read_table

__all__ = ["bad_amplifiers"]


def bad_amplifiers(detector_id: int, date: str) -> list[int]:
    """Return the amplifiers (0 to 3, detector frame) of a CCD that are unusable on `date` (YYYY-MM-DD).

    The defect lists cover them already, except those that died after the lists were made.
    Source: Subaru Telescope, web page "HSC CCDs".
    """
    return sorted(
        row["amp"] for row in read_table("bad_channels") if row["det_id"] == detector_id and row["from_date"] <= date
    )
