"""Level and flatness of the sky of a corrected image."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..image.exposure import Exposure
from ..image.mask import mask_bits
from ..numerics.statistics import clipped_mean, median_and_clipped_mean

__all__ = ["SkyLevel", "measure_sky_level"]


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
