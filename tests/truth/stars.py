"""A made-up frame of stars on a grid with its truth and its catalogue: all values are what the test says."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hscbox.catalog.source_catalog import SourceCatalog, make_minimal_schema
from hscbox.image.exposure import Exposure
from hscbox.image.photo_calib import PhotoCalib
from hscbox.image.psf import GaussianPsf
from hscbox.image.sky_wcs import SkyWcs
from hscbox.truth.true_frame import Truth

FloatArray = NDArray[np.float64]

WIDTH, HEIGHT, STEP = 1200, 1600, 40
ZERO_POINT, SIGMA, VARIANCE, GAIN = 30.0, 2.0, 100.0, 3.0
WCS = SkyWcs((600.0, 800.0), (150.0, 2.0), np.diag([-0.168, 0.168]) / 3600)
HSM = (
    *(f"HsmSourceMoments_{end}" for end in ("xx", "yy", "xy")),
    *(f"HsmShapeRegauss_{end}" for end in ("e1", "e2", "resolution")),
)
FLAGS = ("saturated", "edge", "bad")


@dataclass(frozen=True)
class Frame:
    truth: Truth
    sources: SourceCatalog
    exposure: Exposure
    stars: NDArray[np.int64]
    """Rows of truth and catalogue that are inside."""


def gaussian(sigma_x: float = SIGMA, sigma_y: float = SIGMA, size: int = 41) -> FloatArray:
    axis = np.arange(size) - size // 2
    stamp = np.exp(-0.5 * ((axis[None, :] / sigma_x) ** 2 + (axis[:, None] / sigma_y) ** 2))
    result: FloatArray = stamp / stamp.sum()
    return result


def frame(snr: tuple[float, float], *, complete: bool = True) -> Frame:
    """Return stars between two S/N, evenly in the logarithm, measured without any error.

    The catalogue that is not complete has no Kron fluxes and no HSM shapes.
    """
    rng = np.random.default_rng(7)
    grid_x, grid_y = np.meshgrid(np.arange(STEP / 2, WIDTH, STEP), np.arange(STEP / 2, HEIGHT, STEP))
    n = grid_x.size
    x, y = (grid.ravel() + rng.uniform(-1, 1, n) for grid in (grid_x, grid_y))
    wanted = np.exp(rng.uniform(*np.log(snr), n))
    sky = 4 * np.pi * SIGMA**2 * VARIANCE
    flux = 0.5 * (wanted**2 / GAIN + np.sqrt((wanted**2 / GAIN) ** 2 + 4 * wanted**2 * sky))
    ra, dec = WCS.pixel_to_sky(x, y)
    shape = (HEIGHT, WIDTH)
    chosen = np.arange(0, n, 29)
    truth = Truth(
        zero_point=ZERO_POINT,
        ra=ra,
        dec=dec,
        x=x,
        y=y,
        magnitude=ZERO_POINT - 2.5 * np.log10(flux),
        flux=flux,
        is_star=np.ones(n, dtype=bool),
        half_light_radius_px=np.zeros(n),
        g1=np.zeros(n),
        g2=np.zeros(n),
        sersic=np.zeros(n),
        brighter_distance_px=np.full(n, np.inf),
        objects=np.zeros(shape),
        sky=np.full(shape, VARIANCE * GAIN),
        cosmic_rays=np.zeros(shape),
        saturated=np.zeros(shape, dtype=bool),
        psf_xy=np.stack([x, y], axis=1)[chosen],
        psf_stamps=np.repeat(gaussian()[None], len(chosen), axis=0),
    )
    image = np.zeros(shape, dtype=np.float32)
    exposure = Exposure(image, np.zeros(shape, np.int32), np.full_like(image, VARIANCE), psf=GaussianPsf(41, SIGMA))
    exposure.wcs, exposure.photo_calib = WCS, PhotoCalib.from_zero_point(ZERO_POINT)
    return Frame(truth, _catalog(truth, complete), exposure, np.arange(n))


def _catalog(truth: Truth, complete: bool) -> SourceCatalog:
    schema = make_minimal_schema()
    fluxes = {"slot_PsfFlux": "psf", "slot_CalibFlux": "aperture", "slot_ModelFlux": "model"}
    if complete:
        fluxes["slot_InstFlux"] = "ext_photometryKron_KronFlux"
    schema.add_field("deblend_nChild", "I")
    for axis in "xy":
        schema.add_field(f"centroid_{axis}", "D")
        schema.add_field(f"centroid_{axis}Sigma", "D")
    for name in FLAGS:
        schema.add_field(f"base_PixelFlags_flag_{name}", "Flag")
    for name in fluxes.values():
        schema.add_field(f"{name}_flux", "D")
        schema.add_field(f"{name}_fluxSigma", "D")
        schema.add_field(f"{name}_flag", "Flag")
    for name in HSM if complete else ():
        schema.add_field(f"ext_shapeHSM_{name}", "D")
    schema.add_field("base_ClassificationExtendedness_value", "D")
    schema.set_alias("slot_Centroid", "centroid")
    for slot, name in fluxes.items():
        schema.set_alias(slot, name)
    schema.set_alias("base_CircularApertureFlux_12_0", "aperture")
    sources = SourceCatalog(schema, len(truth.x))
    for axis, values in (("x", truth.x), ("y", truth.y)):
        sources[f"centroid_{axis}"] = values
        sources[f"centroid_{axis}Sigma"] = 0.01
    for name in fluxes.values():
        sources[f"{name}_flux"] = truth.flux
        sources[f"{name}_fluxSigma"] = np.sqrt(4 * np.pi * SIGMA**2 * VARIANCE + truth.flux / GAIN)
    return sources
