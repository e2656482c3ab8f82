"""Replacement of all sources by noise, so that each is measured without its neighbours.

Bosch et al. 2018, PASJ 70, S5, section 4.9; lsst/meas_base 79989139. One noise image serves all sources, where the
original draws a new realisation for each.
"""

from __future__ import annotations

from collections.abc import Sequence

import lsst.pex.config as pex_config
import numpy as np

from ..catalog.footprint import Footprint
from ..fits.metadata import Metadata
from ..numerics.arrays import Float32Array
from ..numerics.statistics import ClippedMean, clipped_mean
from .pixels import SourcePixels, gather_pixels

__all__ = ["NoiseReplacerConfig", "describe_noise", "noise_level", "replace_by_noise"]

_ENOUGH_PIXELS = 2_000_000
_PURPOSE = 0x6E6F6973  # keeps this stream apart from the others of the same exposure


class NoiseReplacerConfig(pex_config.Config):
    """What stands in place of the other sources."""

    noiseSource = pex_config.ChoiceField(
        "Where mean and width of the noise come from.",
        str,
        default="measure",
        allowed={"measure": "clipped mean and standard deviation of the whole image"},
    )
    noiseOffset = pex_config.Field("Added to the mean of the noise [ADU].", float, default=0.0)
    noiseSeedMultiplier = pex_config.RangeField(
        "Multiplies the exposure id in the seed; another number gives another realisation.", int, default=1, min=0
    )


def noise_level(image: Float32Array) -> ClippedMean:
    """Return the clipped mean and standard deviation of an image, from some two million of its pixels.

    Whole rows, evenly spaced: that determines the width of the noise to 5e-4.
    """
    return clipped_mean(image[:: max(1, image.size // _ENOUGH_PIXELS)])


def replace_by_noise(
    image: Float32Array, footprints: Sequence[Footprint], exposure_id: int, config: NoiseReplacerConfig
) -> SourcePixels:
    """Replace the pixels of all `footprints` in `image` by Gaussian noise.

    Parameters
    ----------
    image
        (height, width) [ADU]; changed in place. It is `SourcePixels.work` of the result; see `restore`.
    footprints
        Footprints within the image; heavy ones supply their own pixel values.
    exposure_id
        Seeds the noise together with ``noiseSeedMultiplier``.
    """
    start, index, value = gather_pixels(image, footprints)
    level = noise_level(image)
    under_source = np.zeros(image.size, dtype=np.bool_)
    under_source[index] = True
    covered = np.flatnonzero(under_source)
    seed = np.random.SeedSequence([exposure_id * config.noiseSeedMultiplier, _PURPOSE])
    draws = np.random.Generator(np.random.PCG64(seed)).standard_normal(len(covered))
    mean, width = (level.mean, level.std) if level.n > 1 else (0.0, 0.0)
    flat = image.reshape(-1)
    flat[covered] = mean + config.noiseOffset + width * draws
    return SourcePixels(image, start, index, value, flat[index])


def describe_noise(metadata: Metadata, exposure_id: int, config: NoiseReplacerConfig) -> None:
    """Say in the metadata of a catalogue which noise was used."""
    metadata.set("NOISE_SEED_MULTIPLIER", int(config.noiseSeedMultiplier))
    metadata.set("NOISE_SOURCE", str(config.noiseSource))
    metadata.set("NOISE_OFFSET", float(config.noiseOffset))
    metadata.set("NOISE_EXPOSURE_ID", int(exposure_id))
