"""The kinds of master calibrations that are chosen by date. A new kind is one line of `CALIB_KINDS`."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["CALIB_KINDS", "CalibKind"]


@dataclass(frozen=True)
class CalibKind:
    """One kind of master calibration.

    Attributes
    ----------
    name
        Dataset and table of the calibration registry.
    obstypes
        A header's OBSTYPE, in lower case, contains one of these words.
    per_filter
        Whether there is one for each filter; the others carry the filter "NONE".
    unit
        Unit of its pixels; empty for a ratio.
    """

    name: str
    obstypes: tuple[str, ...]
    per_filter: bool
    unit: str

    @property
    def registry_keys(self) -> tuple[str, ...]:
        """Columns of the calibration registry that choose one, beside the dates."""
        return ("ccd", "filter") if self.per_filter else ("ccd",)

    @property
    def template(self) -> str:
        """Path below the calibration root, in the notation of dataset templates."""
        folder, named = ("%(filter)s", "-%(filter)s") if self.per_filter else ("NONE", "")
        prefix = self.name.upper()
        return f"{prefix}/%(calibDate)s/{folder}/{prefix}-%(calibDate)s{named}-%(ccd)03d.fits"


CALIB_KINDS: dict[str, CalibKind] = {
    kind.name: kind
    for kind in (
        CalibKind("bias", ("zero", "bias"), per_filter=False, unit="ADU"),
        CalibKind("dark", ("dark",), per_filter=False, unit="ADU/s"),
        CalibKind("flat", ("flat",), per_filter=True, unit=""),
        CalibKind("fringe", ("fringe",), per_filter=True, unit="ADU"),
    )
}
