"""What the instrument signature removal takes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from ..camera.boxes import Box
from ..camera.calib_kinds import CALIB_KINDS
from ..camera.detector import Detector
from ..camera.visit_info import VisitInfo
from ..errors import DamagedInputError, MissingInputError
from ..image.calib_image import CalibImage
from ..numerics.arrays import Float32Array, FloatArray
from .amplifiers import detector_of_raw

__all__ = ["IsrInputs", "RawPixels", "fitting_calib"]

_MISSING = {
    "bf_kernel": (
        "Unable to retrieve brighter-fatter kernel: the frame has none",
        "Put it into the calibration repository, or switch doBrighterFatter off",
    ),
    "visit_info": ("Unable to scale the dark: the frame has no visit information", ""),
}
"""What is said, and what to do, when an input that a step needs is None."""


class RawPixels(Protocol):
    """What the task needs of a raw frame."""

    @property
    def pixels(self) -> Float32Array:
        """Raw array in the detector frame, ADU."""

    @property
    def header(self) -> Mapping[str, object]:
        """Header of the raw file."""


@dataclass(frozen=True)
class IsrInputs:
    """One raw frame and all that may be needed to correct it; the steps that are switched on say what is."""

    raw: RawPixels
    """Raw frame in the detector frame; a cut-out has fewer rows."""
    detector: Detector
    visit_info: VisitInfo | None
    filter_name: str
    """Canonical name ("r")."""
    exposure_id: int = 0
    """200 visit + ccd; seeds the fringe positions."""
    masters: Mapping[str, CalibImage] = field(default_factory=dict)
    """Master calibrations by kind, of `hscbox.camera.calib_kinds.CALIB_KINDS`."""
    bf_kernel: FloatArray | None = None
    defects: Sequence[Box] = ()
    """Boxes of bad pixels on the trimmed image."""

    @property
    def dark_time(self) -> float:
        """Seconds in which dark current was collected; nan if that is not known."""
        return float("nan") if self.visit_info is None else self.visit_info.dark_time

    def fitted(self, needs: Iterable[str]) -> IsrInputs:
        """Return the inputs cut to the rows of the raw frame, with the masters among `needs` and no others.

        Parameters
        ----------
        needs
            Kinds of masters, and names of other fields that must not be None.

        Raises
        ------
        MissingInputError
            One of them is missing.
        DamagedInputError
            Shapes do not fit.
        """
        detector = detector_of_raw(self.detector, self.raw.pixels.shape)
        masters = {}
        for name in needs:
            if name in CALIB_KINDS:
                masters[name] = fitting_calib(self.masters.get(name), name, (detector.height, detector.width))
            elif getattr(self, name) is None:
                message, remedy = _MISSING[name]
                raise MissingInputError(message, remedy=remedy)
        return replace(self, detector=detector, masters=masters)


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
