"""Noiseless and noisy fields of sources with known flux, position and shape."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from fixtures.footprints import footprint_of, make_peaks

from hscbox.catalog.footprint import Footprint
from hscbox.catalog.schema import Schema
from hscbox.catalog.source_catalog import SourceCatalog, make_minimal_schema
from hscbox.image.exposure import Exposure
from hscbox.image.psf import GaussianPsf
from hscbox.measure.task import SingleFrameMeasurementConfig, SingleFrameMeasurementTask

SIGMA = 1.5


def gaussian(shape: tuple[int, int], x: float, y: float, flux: float, q: Sequence[float] = (SIGMA**2, SIGMA**2, 0.0)):
    """Draw a Gaussian of covariance (xx, yy, xy), sampled at the pixel centres."""
    v, u = np.mgrid[: shape[0], : shape[1]].astype(float)
    xx, yy, xy = q
    det = xx * yy - xy * xy
    du, dv = u - x, v - y
    exponent = (yy * du * du - 2 * xy * du * dv + xx * dv * dv) / det
    return flux / (2 * np.pi * np.sqrt(det)) * np.exp(-0.5 * exponent)


def disc(shape: tuple[int, int], x: float, y: float, radius: float = 12.0) -> Footprint:
    """Return a round footprint with one peak at the nearest pixel."""
    v, u = np.mgrid[: shape[0], : shape[1]]
    peak = make_peaks([np.floor(x + 0.5)], [np.floor(y + 0.5)], [1.0])
    return footprint_of(np.hypot(u - x, v - y) < radius, peaks=peak)


def exposure_of(image: np.ndarray, variance: float = 1.0, psf=None) -> Exposure:
    """Return an exposure with constant variance and an empty mask."""
    return Exposure(
        image.astype(np.float32),
        np.zeros(image.shape, np.int32),
        np.full(image.shape, variance, np.float32),
        psf=psf or GaussianPsf(41, SIGMA),
    )


def task_for(*plugins: str, **slots: str) -> tuple[SingleFrameMeasurementTask, Schema]:
    """Return a measurement task that runs the centroid, the shape, and `plugins`."""
    config = SingleFrameMeasurementConfig()
    config.plugins.names = ["base_SdssCentroid", "base_SdssShape", *plugins]
    config.slots.shape, config.slots.psfShape = "base_SdssShape", "base_SdssShape_psf"
    for slot in ("apFlux", "modelFlux", "psfFlux", "instFlux", "calibFlux"):
        setattr(config.slots, slot, slots.get(slot, ""))
    config.validate()
    schema = make_minimal_schema()
    return SingleFrameMeasurementTask(config, "test.measurement", schema), schema


def measure(exposure: Exposure, positions: Sequence[tuple[float, float]], *plugins: str) -> SourceCatalog:
    """Measure sources at the given positions with round footprints."""
    task, schema = task_for(*plugins)
    catalog = SourceCatalog(schema, len(positions))
    catalog.footprints = [disc(exposure.image.shape, x, y) for x, y in positions]
    task.run(catalog=catalog, exposure=exposure, exposure_id=7)
    return catalog
