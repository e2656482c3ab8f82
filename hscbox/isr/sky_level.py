"""Level and flatness of the sky of a corrected image."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..errors import SaturatedFrameError
from ..image.exposure import Exposure
from ..image.mask import mask_bits
from ..numerics.statistics import clipped_mean, median_and_clipped_mean
from .frame import Frame

__all__ = ["SkyLevel", "measure_sky_level", "record_sky_level"]


@dataclass(frozen=True)
class SkyLevel:
    """Sky numbers of the header; nan if there is no usable pixel."""

    level: float
    """Median, ADU."""
    sigma: float
    """Clipped standard deviation, ADU."""
    mesh_level: float
    """Median of the levels of the mesh cells, ADU."""
    flatness_pp: float
    """Largest minus smallest relative deviation of the cells."""
    flatness_rms: float
    """Standard deviation of the relative deviations."""
    n_x: int
    n_y: int


def measure_sky_level(
    exposure: Exposure, mesh_x: int = 256, mesh_y: int = 256, *, n_sigma: float = 3.0, n_iter: int = 3
) -> SkyLevel:
    """Measure the sky over all pixels without BAD, SAT, DETECTED, NO_DATA, and its flatness on a mesh of cells.

    NO_DATA counts where there is nothing else.
    """
    ignored = mask_bits("BAD", "SAT", "DETECTED", "NO_DATA")
    image, mask = exposure.image, exposure.mask
    if np.all(mask & np.int32(ignored)):
        ignored = mask_bits("BAD", "SAT", "DETECTED")
    n_x = max((exposure.width + mesh_x // 2) // mesh_x, 1)
    n_y = max((exposure.height + mesh_y // 2) // mesh_y, 1)
    levels = np.empty((n_y, n_x))
    for j in range(n_y):
        for i in range(n_x):
            cell = slice(j * mesh_y, (j + 1) * mesh_y), slice(i * mesh_x, (i + 1) * mesh_x)
            levels[j, i] = clipped_mean(image[cell], mask[cell], ignored, n_sigma=n_sigma, n_iter=n_iter).mean
    usable = levels[np.isfinite(levels)]
    mesh_level = float(np.median(usable)) if usable.size else float("nan")
    deviation = usable / mesh_level - 1.0 if usable.size and mesh_level != 0.0 else np.array([np.nan])
    level, clipped = median_and_clipped_mean(image, mask, ignored, n_sigma=n_sigma, n_iter=n_iter)
    return SkyLevel(
        level=level,
        sigma=clipped.std,
        mesh_level=mesh_level,
        flatness_pp=float(deviation.max() - deviation.min()),
        flatness_rms=float(deviation.std()),
        n_x=n_x,
        n_y=n_y,
    )


def record_sky_level(frame: Frame) -> None:
    """Measure the sky, log and record it; a frame without usable sky is refused (`SaturatedFrameError`)."""
    mesh, metadata = frame.config.qa.flatness, frame.exposure.metadata
    sky = measure_sky_level(frame.exposure, mesh.meshX, mesh.meshY, n_sigma=mesh.clipSigma, n_iter=mesh.nIter)
    if not (np.isfinite(sky.level) and np.isfinite(sky.sigma) and np.isfinite(sky.flatness_rms)):
        raise SaturatedFrameError(
            f"CCD {frame.detector.id} has no usable sky: level {sky.level}, sigma {sky.sigma}",
            remedy="All pixels are bad or saturated, or the sky level is zero",
            ccd=frame.detector.id,
        )
    grid = f"{sky.n_x}x{sky.n_y}"
    frame.log.info("Flattened sky level: %f +/- %f", sky.level, sky.sigma)
    frame.log.info("Measuring sky levels in %s grids: %f", grid, sky.mesh_level)
    frame.log.info("Sky flatness in %s grids - pp: %f rms: %f", grid, sky.flatness_pp, sky.flatness_rms)
    metadata.set("SKYLEVEL", sky.level, "[ADU] median sky")
    metadata.set("SKYSIGMA", sky.sigma, "[ADU] clipped standard deviation of the sky")
    metadata.set("FLATNESS_PP", sky.flatness_pp)
    metadata.set("FLATNESS_RMS", sky.flatness_rms)
    metadata.set("FLATNESS_NGRIDS", grid)
    metadata.set("FLATNESS_MESHX", mesh.meshX)
    metadata.set("FLATNESS_MESHY", mesh.meshY)
