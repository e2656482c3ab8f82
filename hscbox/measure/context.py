"""What a plugin may ask about the sources it measures."""

from __future__ import annotations

from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..catalog.footprint import Footprint
from ..catalog.source_catalog import SourceCatalog
from ..image.exposure import Exposure
from ..image.psf import Psf
from ..numerics.arrays import BoolArray, Float32Array, FloatArray, IntArray
from .pixels import SourcePixels
from .shapes.hsm_stamps import HsmSources, measure_sources
from .shapes.psf_moments import stamp_moments

__all__ = ["CatalogRows", "MeasurementContext", "PsfStamps"]


# The moments start from a width of this times that of the PSF.
_HSM_GUESS = 2.5


class PsfStamps(NamedTuple):
    """PSF images at many positions."""

    image: FloatArray
    """(n, size, size), each of sum 1."""
    x0: IntArray
    """(n,) column of the lower left pixel in the exposure."""
    y0: IntArray
    """(n,) row of the lower left pixel in the exposure."""


class CatalogRows:
    """Some successive rows of a catalogue, to be read and filled by column; slots resolve through aliases."""

    def __init__(self, catalog: SourceCatalog, rows: slice) -> None:
        self._catalog = catalog
        self._rows = rows
        self.footprints = catalog.footprints[rows]

    def __len__(self) -> int:
        return len(self.footprints)

    def __contains__(self, name: object) -> bool:
        return name in self._catalog

    def __getitem__(self, name: str) -> NDArray[Any]:
        return self._catalog.column(name)[self._rows]

    def __setitem__(self, name: str, values: Any) -> None:
        self[name][...] = values


class MeasurementContext:
    """The exposure, the sources' pixels, and quantities that several plugins share.

    Parameters
    ----------
    exposure
        Its image is the working image, with noise in place of the sources.
    pixels
        Pixels of the sources.
    catalog
        The rows that are being filled.
    psf
        PSF of the exposure.
    blends
        The image before sources were replaced by noise.
    """

    def __init__(
        self,
        exposure: Exposure,
        pixels: SourcePixels,
        catalog: CatalogRows,
        psf: Psf,
        blends: Float32Array,
    ) -> None:
        self.exposure = exposure
        self.pixels = pixels
        self.catalog = catalog
        self.psf = psf
        self.blends = blends
        self._hsm: dict[int, HsmSources] = {}
        self.footprints: list[Footprint] = [f for f in catalog.footprints if f is not None]
        self.peak_x = np.array([_first_peak(f, "f_x") for f in self.footprints], dtype=np.float64)
        self.peak_y = np.array([_first_peak(f, "f_y") for f in self.footprints], dtype=np.float64)

    def __len__(self) -> int:
        return len(self.footprints)

    @cached_property
    def centroid(self) -> tuple[FloatArray, FloatArray]:
        """x and y (n,) of the centroid slot, the first peak where it failed; valid once the centroider has run."""
        x = self.catalog["slot_Centroid_x"].astype(np.float64)
        y = self.catalog["slot_Centroid_y"].astype(np.float64)
        bad = ~(np.isfinite(x) & np.isfinite(y))
        return np.where(bad, self.peak_x, x), np.where(bad, self.peak_y, y)

    @cached_property
    def centroid_failed(self) -> BoolArray:
        """(n,) whether the centroid slot is flagged."""
        failed: BoolArray = self.catalog["slot_Centroid_flag"].copy()
        return failed

    @cached_property
    def shape(self) -> FloatArray:
        """(n, 3) xx, yy, xy of the shape slot [px^2]; valid once its plugin has run."""
        return np.stack([self.catalog[f"slot_Shape_{name}"] for name in ("xx", "yy", "xy")], axis=1).astype(np.float64)

    @cached_property
    def shape_failed(self) -> BoolArray:
        """(n,) whether the shape slot is flagged or is no ellipse."""
        xx, yy, xy = self.shape.T
        with np.errstate(invalid="ignore"):
            ellipse = (xx > 0) & (yy > 0) & (xx * yy - xy * xy > 0)
        failed: BoolArray = self.catalog["slot_Shape_flag"] | ~ellipse
        return failed

    @cached_property
    def psf_at_centroid(self) -> PsfStamps:
        """The PSF at the centroids, each with its sub-pixel offset."""
        return PsfStamps(*self.psf.images(*self.centroid))

    @cached_property
    def psf_shape(self) -> FloatArray:
        """(n, 3) adaptive moments xx, yy, xy of the PSF at the centroids [px^2]; nan where they fail."""
        (x, y), stamps = self.centroid, self.psf_at_centroid
        return stamp_moments(stamps.image, x - stamps.x0, y - stamps.y0)

    @cached_property
    def psf_sigma(self) -> FloatArray:
        """(n,) determinant radius of the PSF at the centroids [px]."""
        xx, yy, xy = self.psf_shape.T
        with np.errstate(invalid="ignore"):
            sigma: FloatArray = np.sqrt(np.sqrt(xx * yy - xy * xy))
        return sigma

    @cached_property
    def psf_trace_radius(self) -> FloatArray:
        """(n,) sqrt((xx + yy) / 2) of the PSF at the centroids [px]."""
        radius: FloatArray = np.sqrt(0.5 * (self.psf_shape[:, 0] + self.psf_shape[:, 1]))
        return radius

    def hsm_sources(self, bad: int) -> HsmSources:
        """Return the HSM moments of the sources, measured once, with pixels of the mask bits `bad` counted as 0."""
        if bad not in self._hsm:
            guess = _HSM_GUESS * self.psf_trace_radius
            self._hsm[bad] = measure_sources(self.pixels, self.exposure.mask, np.int32(bad), *self.centroid, guess)
        return self._hsm[bad]


def _first_peak(footprint: Footprint, key: str) -> float:
    if len(footprint.peaks):
        return float(footprint.peaks[key][0])
    box = footprint.bbox
    return box.x0 + (box.width - 1) / 2 if key == "f_x" else box.y0 + (box.height - 1) / 2
