"""The exposure: pixels and everything known about them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from ..fits.metadata import Metadata
from ..numerics.arrays import Float32Array, FloatArray, Int32Array

if TYPE_CHECKING:
    from ..camera.detector import Detector
    from ..camera.visit_info import VisitInfo
    from .bounded_field import ApCorrMap
    from .photo_calib import PhotoCalib
    from .psf import Psf
    from .sky_wcs import SkyWcs

__all__ = ["Exposure"]


@dataclass
class Exposure:
    """One CCD image with its mask, variance and calibrations.

    The first pixel is at (0, 0). Components that are not known yet, or whose fit failed, are None.
    """

    image: Float32Array
    """Pixels [ADU], (height, width)."""
    mask: Int32Array
    """Bits of the planes of `hscbox.image.mask`, (height, width)."""
    variance: Float32Array
    """Variance of the pixels [ADU^2], (height, width)."""
    wcs: SkyWcs | None = None
    psf: Psf | None = None
    photo_calib: PhotoCalib | None = None
    ap_corr: ApCorrMap | None = None
    visit_info: VisitInfo | None = None
    filter_name: str | None = None
    """Canonical filter name ("r"), not that of the registry ("HSC-R")."""
    detector: Detector | None = None
    valid_polygon: FloatArray | None = None
    """Vertices (n, 2) in pixels of the region that light reaches, open or closed."""
    metadata: Metadata = field(default_factory=Metadata)

    def __post_init__(self) -> None:
        shape = self.image.shape
        if len(shape) != 2 or self.mask.shape != shape or self.variance.shape != shape:
            raise ValueError(
                f"planes of an exposure must be 2-D and alike: image {shape}, mask {self.mask.shape}, "
                f"variance {self.variance.shape}"
            )

    @property
    def width(self) -> int:
        """Number of columns."""
        return int(self.image.shape[1])

    @property
    def height(self) -> int:
        """Number of rows."""
        return int(self.image.shape[0])

    def copy(self) -> Exposure:
        """Return an exposure with its own pixels and metadata; the other components are immutable and shared."""
        return replace(
            self,
            image=self.image.copy(),
            mask=self.mask.copy(),
            variance=self.variance.copy(),
            ap_corr=None if self.ap_corr is None else dict(self.ap_corr),
            metadata=self.metadata.copy(),
        )
