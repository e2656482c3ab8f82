"""Errors of fluxes and centroids against their scatter, on isolated stars of known flux and place.

Run as ``python tests/measure_pulls.py``. For three seeings and fluxes from S/N 10 to S/N 1000 it prints the pulls,
standard deviation of (value - truth)/error: those of fluxes about the stars' mean; and the scatter of centroids in
units of the Cramer-Rao bound.
"""

from __future__ import annotations

import galsim
import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from hscbox.catalog.footprint import Footprint, make_peaks
from hscbox.catalog.source_catalog import SourceCatalog, make_minimal_schema
from hscbox.image.exposure import Exposure
from hscbox.image.psf import Psf
from hscbox.measure.task import SingleFrameMeasurementConfig, SingleFrameMeasurementTask

SKY, GAIN, READ_NOISE = 1874.0, 3.1, 1.4
STEP, SIDE, WIDE = 90, 24, 61
FLUXES = (2e3, 5e3, 2e4, 1e5, 3e5)
PLUGINS = ("base_SdssCentroid", "base_PsfFlux", "ext_photometryKron_KronFlux", "ext_shapeHSM_HsmSourceMoments")
FloatArray = NDArray[np.float64]


class MoffatPsf(Psf):
    """A sheared Moffat profile, the same everywhere."""

    def __init__(self, seeing: float) -> None:
        super().__init__(41, (0.0, 0.0))
        profile = galsim.Moffat(beta=3.5, fwhm=seeing / 0.168).shear(g1=0.03, g2=-0.02)
        self._profile = galsim.Convolve(profile, galsim.Pixel(1.0))

    def draw(self, size: int, dx: float, dy: float) -> FloatArray:
        """Draw a stamp of sum 1."""
        image = self._profile.drawImage(nx=size, ny=size, scale=1, offset=(dx, dy), method="no_pixel", dtype=float)
        stamp: FloatArray = image.array / image.array.sum()
        return stamp

    def _stamps(self, xs: FloatArray, ys: FloatArray, dx: FloatArray, dy: FloatArray) -> FloatArray:
        del xs, ys
        return np.array([self.draw(self.size, *offset) for offset in zip(dx, dy, strict=True)])


def stars(psf: MoffatPsf, flux: float, rng: np.random.Generator) -> tuple[Exposure, FloatArray, FloatArray, FloatArray]:
    """Return an exposure of stars, their positions, and the true variance of its pixels."""
    grid = np.arange(SIDE) * STEP + STEP / 2
    x, y = (axis.ravel() + rng.uniform(-0.5, 0.5, SIDE**2) for axis in np.meshgrid(grid, grid))
    light = np.zeros((SIDE * STEP, SIDE * STEP))
    for cx, cy in zip(x, y, strict=True):
        ix, iy = int(np.floor(cx + 0.5)), int(np.floor(cy + 0.5))
        box = np.s_[iy - WIDE // 2 : iy + WIDE // 2 + 1, ix - WIDE // 2 : ix + WIDE // 2 + 1]
        light[box] += flux * psf.draw(WIDE, cx - ix, cy - iy)
    noisy = rng.poisson((light + SKY) * GAIN) / GAIN - SKY + rng.normal(0, READ_NOISE, light.shape)
    # As in the pipeline, the variance plane knows the noisy pixels only.
    variance = np.maximum((noisy + SKY) / GAIN, 1.0) + READ_NOISE**2
    mask = np.zeros(light.shape, np.int32)
    exposure = Exposure(noisy.astype(np.float32), mask, variance.astype(np.float32), psf=psf)
    return exposure, x, y, (light + SKY) / GAIN + READ_NOISE**2


def measured(exposure: Exposure, x: FloatArray, y: FloatArray, radius: int) -> SourceCatalog:
    """Measure sources with round footprints."""
    config, schema = SingleFrameMeasurementConfig(), make_minimal_schema()
    config.plugins.names = PLUGINS
    for slot in ("psfShape", "apFlux", "modelFlux", "psfFlux", "instFlux", "calibFlux"):
        setattr(config.slots, slot, "")
    task = SingleFrameMeasurementTask(config, "pulls", schema)
    catalog = SourceCatalog(schema, len(x))
    for i, (ix, iy) in enumerate(np.floor(np.stack([x, y], axis=1) + 0.5).astype(int)):
        rows = np.arange(-radius, radius + 1)
        reach = np.sqrt(radius**2 - rows**2).astype(int)
        spans = np.stack([iy + rows, ix - reach, ix + reach], axis=1).astype(np.int32)
        catalog.footprints[i] = Footprint(spans, make_peaks([ix], [iy], [1.0]))
    task.run(catalog=catalog, exposure=exposure, exposure_id=1)
    return catalog


def bound(psf: MoffatPsf, flux: float, x: FloatArray, y: FloatArray, variance: FloatArray) -> FloatArray:
    """Return the mean Cramer-Rao bounds of x and y [px], the flux being unknown."""
    bounds, h = [], 0.02
    for cx, cy in zip(x[::15], y[::15], strict=True):
        ix, iy = int(np.floor(cx + 0.5)), int(np.floor(cy + 0.5))
        at = [psf.draw(41, cx - ix + dx, cy - iy + dy) for dx, dy in ((h, 0), (-h, 0), (0, h), (0, -h), (0, 0))]
        slopes = np.array([flux * (at[0] - at[1]) / (2 * h), flux * (at[2] - at[3]) / (2 * h), at[4]])
        weight = 1 / variance[iy - 20 : iy + 21, ix - 20 : ix + 21]
        information = np.einsum("aij,bij,ij->ab", slopes, slopes, weight)
        bounds.append(np.sqrt(np.diag(np.linalg.inv(information))[:2]))
    result: FloatArray = np.mean(np.array(bounds), axis=0)
    return result


def spread(values: FloatArray) -> float:
    """Return the standard deviation without what lies beyond five robust ones."""
    robust = 0.7413 * np.subtract(*np.percentile(values, [75, 25]))
    return float(np.std(values[np.abs(values - np.median(values)) < 5 * robust]))


def main() -> None:
    """Print the table."""
    table = Table("seeing", "flux", "S/N", "stars", "PSF flux", "Kron flux", "x", "y", "x/bound", "y/bound")
    for seeing in (0.45, 0.6, 0.9):
        psf, rng = MoffatPsf(seeing), np.random.default_rng(4)
        for flux in FLUXES:
            exposure, x, y, variance = stars(psf, flux, rng)
            catalog = measured(exposure, x, y, 8 if flux < 1e4 else 14)
            good = ~np.any([catalog[f"{name}_flag"] for name in PLUGINS[:3]], axis=0)
            pulls = []
            for name in PLUGINS[1:3]:
                values, errors = catalog[f"{name}_flux"][good], catalog[f"{name}_fluxSigma"][good]
                pulls.append(spread((values - values.mean()) / errors))
            misses = [catalog[f"base_SdssCentroid_{a}"][good] - true[good] for a, true in (("x", x), ("y", y))]
            sigmas = [catalog[f"base_SdssCentroid_{a}Sigma"][good] for a in "xy"]
            pulls += [spread(miss / sigma) for miss, sigma in zip(misses, sigmas, strict=True)]
            limits = bound(psf, flux, x, y, variance)
            ratios = [spread(miss) / limit for miss, limit in zip(misses, limits, strict=True)]
            signal = np.median(catalog["base_PsfFlux_flux"][good] / catalog["base_PsfFlux_fluxSigma"][good])
            numbers = [f"{value:.3f}" for value in (*pulls, *ratios)]
            table.add_row(f"{seeing:.2f}", f"{flux:.0f}", f"{signal:.0f}", str(good.sum()), *numbers)
    Console(width=120).print(table)
    print(f"uncertainty of every number: {1 / np.sqrt(2 * SIDE**2):.3f} of it")


if __name__ == "__main__":
    main()
