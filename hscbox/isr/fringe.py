"""Fringes of night-sky lines, visible in y and the red narrow bands."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from ..camera.geometry import EXPOSURE_IDS_PER_VISIT
from ..errors import DataError
from ..image.calib_image import CalibImage
from ..image.exposure import Exposure
from ..image.mask import mask_bits
from ..numerics.arrays import BoolArray, Float32Array, FloatArray, Int32Array, IntArray
from ..numerics.constants import SIGMA_PER_IQR
from ..task_metadata import timed
from .box_levels import box_means, box_medians
from .frame import Frame

__all__ = ["FringeFit", "contrast", "fit_fringe_scale", "random_positions", "remove_fringes", "subtract_fringes"]


_PURPOSE = 0x46524E47
"""Third word of the random seed, so that no other step draws the same numbers."""

_MOST_PASSES = 8
_CONVERGED = 0.03
"""A pass that changes the scale by a smaller part is the last: the next one would change it by less than half of it."""


@dataclass(frozen=True)
class FringeFit:
    """Result of the fit of the fringe frame to an exposure."""

    scale: float
    """Factor of the fringe frame, ADU."""
    pedestal: float
    """Constant of the fit; 0 unless it is asked for. Not subtracted."""
    rms: float
    """Robust scatter of the residuals, ADU."""
    n_used: int
    n_positions: int


def subtract_fringes(
    exposure: Exposure,
    fringe: CalibImage,
    exposure_id: int,
    *,
    num: int = 30000,
    small: int = 3,
    large: int = 30,
    iterations: int = 20,
    clip: float = 3.0,
    pedestal: bool = False,
    ignored_planes: Sequence[str] = ("SAT", "NO_DATA", "BAD"),
) -> FringeFit:
    """Scale the fringe frame to the exposure and subtract it in place.

    At random positions the level in a small box minus that in a large box about it is compared between exposure and
    fringe frame; the slope is the scale. Method of lsst/ip_isr 0af5a6cf, fringe.py, with one difference: medians of a
    wave depend on how much noise is on it, and comparing medians of a noisy exposure with those of a clean fringe
    frame gives a scale that is wrong by 10 to 40 per cent. Here the fringe frame is averaged, and the fit is repeated
    on the exposure with the result so far subtracted, until little but noise is left to take medians of. Another
    difference: BAD pixels do not count, for a dead amplifier shows no fringes and would pull the scale towards zero.

    Raises
    ------
    DataError
        The frame is smaller than the large box, or too few positions are usable.
    """
    bits = mask_bits(*ignored_planes)
    xs, ys = random_positions(exposure_id, num, large, exposure.image.shape)
    science_mask = exposure.mask & np.int32(bits)
    fringe_mask = science_mask if fringe.mask is None else science_mask | (fringe.mask & np.int32(bits))
    pattern = contrast(box_means, fringe.image, fringe_mask, xs, ys, small, large)
    scale, constant = 0.0, 0.0
    cleaned = exposure.image
    for _ in range(_MOST_PASSES):
        science = contrast(box_medians, cleaned, science_mask, xs, ys, small, large)
        fit = fit_fringe_scale(science, pattern, iterations=iterations, clip=clip, pedestal=pedestal)
        scale, constant = scale + fit.scale, fit.pedestal
        cleaned = exposure.image - np.float32(scale) * fringe.image
        if abs(fit.scale) <= _CONVERGED * abs(scale):
            break
    exposure.image[...] = cleaned
    return FringeFit(scale, constant, fit.rms, fit.n_used, fit.n_positions)


def random_positions(exposure_id: int, num: int, large: int, shape: tuple[int, ...]) -> tuple[IntArray, IntArray]:
    """Return columns and rows of box centres at which the large box fits, the same for the same exposure id."""
    if min(shape) <= 2 * large:
        raise DataError(
            f"Frame of {shape[1]} x {shape[0]} pixels is too small to measure fringes in boxes of {2 * large} pixels",
            remedy="Switch off doFringe",
        )
    visit, ccd = divmod(exposure_id, EXPOSURE_IDS_PER_VISIT)
    generator = np.random.Generator(np.random.PCG64(np.random.SeedSequence([visit, ccd, _PURPOSE])))
    xs = generator.integers(large, shape[1] - large, size=num)
    ys = generator.integers(large, shape[0] - large, size=num)
    return xs, ys


def contrast(
    level: Callable[..., FloatArray],
    image: Float32Array,
    ignored: Int32Array,
    xs: IntArray,
    ys: IntArray,
    small: int,
    large: int,
) -> FloatArray:
    """Return the level in the small box minus that in the large box at each position.

    `level` is `box_medians` or `box_means`; boxes have half size `small` and `large`. Pixels that are not finite or
    not 0 in `ignored` do not count; nan where a box has none left.
    """
    usable = (ignored == 0) & np.isfinite(image)
    return level(image, usable, xs, ys, small) - level(image, usable, xs, ys, large)


def fit_fringe_scale(
    science: FloatArray, pattern: FloatArray, *, iterations: int = 20, clip: float = 3.0, pedestal: bool = False
) -> FringeFit:
    """Fit science = scale * pattern (+ pedestal) by least squares with rejection of outliers.

    Positions farther than `clip` robust standard deviations from the median of either quantity are left out from the
    start.

    Raises
    ------
    DataError
        Fewer than 10 positions are left, or the pattern has no contrast.
    """
    good = _inliers(science, clip) & _inliers(pattern, clip)
    value, shape = science[good], pattern[good]
    solution, rms = np.zeros(2), 0.0
    for _ in range(max(iterations, 1)):
        if value.size < 10 or not np.any(shape):
            raise DataError(
                f"Fringes cannot be measured: {value.size} of {science.size} positions are usable, at least 10 with "
                "contrast in the fringe frame are needed",
                n_used=value.size,
            )
        solution = _least_squares(value, shape, pedestal)
        residual = value - solution[0] * shape - solution[1]
        rms = _robust_sigma(residual)
        keep = np.abs(residual) <= clip * rms
        if keep.all() or not keep.any():
            break
        value, shape = value[keep], shape[keep]
    return FringeFit(float(solution[0]), float(solution[1]), rms, int(value.size), int(science.size))


def _inliers(values: FloatArray, clip: float) -> BoolArray:
    finite = np.isfinite(values)
    if not finite.any():
        return finite
    lower, middle, upper = np.quantile(values[finite], [0.25, 0.5, 0.75])
    with np.errstate(invalid="ignore"):
        near: BoolArray = np.abs(values - middle) <= clip * SIGMA_PER_IQR * (upper - lower)
    return finite & near


def _robust_sigma(values: FloatArray) -> float:
    lower, upper = np.quantile(values, [0.25, 0.75])
    return float(SIGMA_PER_IQR * (upper - lower))


def _least_squares(value: FloatArray, shape: FloatArray, pedestal: bool) -> FloatArray:
    if not pedestal:
        return np.array([float(np.sum(value * shape) / np.sum(shape * shape)), 0.0])
    mean_value, mean_shape = value.mean(), shape.mean()
    scale = float(np.sum((value - mean_value) * (shape - mean_shape)) / np.sum((shape - mean_shape) ** 2))
    return np.array([scale, float(mean_value - scale * mean_shape)])


def remove_fringes(frame: Frame) -> None:
    """Subtract the fringes of a frame in place; log the fit and record the scale."""
    config = frame.config.fringe
    with timed(frame.log.name, "run"):
        fit = subtract_fringes(
            frame.exposure,
            frame.inputs.masters["fringe"],
            frame.inputs.exposure_id,
            num=config.num,
            small=config.small,
            large=config.large,
            iterations=config.iterations,
            clip=config.clip,
            pedestal=config.pedestal,
            ignored_planes=tuple(config.stats.badMaskPlanes),
        )
    frame.log.info(
        "Fringe scale %f, residual %f, from %d of %d positions", fit.scale, fit.rms, fit.n_used, fit.n_positions
    )
    frame.exposure.metadata.set("FRSCALE", fit.scale, "[ADU] factor of the fringe frame")
