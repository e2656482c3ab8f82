"""The truth behind a synthetic frame, read from the files that the generator wrote.

Only files are shared with the generator: whoever writes these files can be validated. All images are in calibrated
ADU, what an ideal reduction holds after the division by the flat:

    scene.json         zero point; sky as polynomial coefficients of 1, u, v, u^2, uv, v^2
    sources.fits       one row per object on or near the frame
    objects.fits       noiseless light of the objects, without sky
    pixels.fits        1 saturated (before any widening), 2 dead or in a defect
    cosmic_rays.fits   one row per pixel with true charge
    psf.fits           positions of stars and their noiseless PSF, sum 1, centred
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

from ..camera.distortion import PIXEL_SCALE
from ..camera.geometry import scaled_position
from ..errors import DamagedInputError, MissingInputError
from ..fits.read import naming, read_units
from ..fits.tables import read_table
from ..numerics.arrays import BoolArray, FloatArray

__all__ = ["Truth", "read_truth", "truth_directories"]


_SATURATED = 1
_DIRECTORY = re.compile(r"(\d{7})-(\d{3})")


@dataclass(frozen=True)
class Truth:
    """What a frame would show without noise and errors; images are (rows, 2048), tables have n sources."""

    zero_point: float
    """Magnitude of 1 calibrated ADU in the whole exposure."""
    ra: FloatArray
    """Degrees."""
    dec: FloatArray
    x: FloatArray
    """Pixel."""
    y: FloatArray
    magnitude: FloatArray
    flux: FloatArray
    is_star: BoolArray
    half_light_radius_px: FloatArray
    """Of the object before the PSF; 0 for stars."""
    g1: FloatArray
    """Shear of the round profile of a galaxy along the axes of the pixels, before the PSF."""
    g2: FloatArray
    """The same along the diagonals."""
    sersic: FloatArray
    """Index of the profile of a galaxy: 1 exponential, 4 de Vaucouleurs."""
    brighter_distance_px: FloatArray
    """Distance to the nearest brighter source."""
    objects: FloatArray
    sky: FloatArray
    cosmic_rays: FloatArray
    saturated: BoolArray
    psf_xy: FloatArray
    """(m, 2)."""
    psf_stamps: FloatArray
    """(m, size, size)."""

    def isolated(self, radius: float, flux_ratio: FloatArray | float, wanted: BoolArray | None = None) -> BoolArray:
        """Return which sources have less than `flux_ratio` of their flux in others within `radius` pixels.

        Only `wanted` ones (n,) are looked at, all stars by default; the rest counts as not isolated.
        """
        xy = np.stack([self.x, self.y], axis=1)
        tree = cKDTree(xy)
        chosen = np.flatnonzero(self.is_star if wanted is None else wanted)
        most = np.broadcast_to(flux_ratio, len(xy))
        alone = np.zeros(len(xy), dtype=bool)
        for source, neighbours in zip(chosen, tree.query_ball_point(xy[chosen], radius), strict=True):
            others = self.flux[neighbours].sum() - self.flux[source]
            alone[source] = others < most[source] * self.flux[source]
        return alone


def truth_directories(root: Path) -> list[tuple[int, int, Path]]:
    """Return (visit, ccd, directory) of every truth in `root`, in order.

    Raises
    ------
    MissingInputError
        `root` is not a directory.
    """
    if not root.is_dir():
        raise MissingInputError(f"Truth directory {root} does not exist", remedy="hscbox simulate DIR writes DIR/truth")
    found = ((_DIRECTORY.fullmatch(path.name), path) for path in sorted(root.iterdir()))
    return [(int(match[1]), int(match[2]), path) for match, path in found if match]


def read_truth(directory: Path) -> Truth:
    """Read the truth of one CCD.

    Raises
    ------
    MissingInputError, DamagedInputError
        A file is missing, or not what it should be.
    """
    record = _record(directory / "scene.json")
    sources, hits = (_table(directory / f"{name}.fits") for name in ("sources", "cosmic_rays"))
    objects = _image(directory / "objects.fits").astype(np.float64)
    cosmic_rays = np.zeros(objects.shape)
    cosmic_rays[hits["y"], hits["x"]] = hits["charge_adu"]
    stars = _table(directory / "psf.fits")
    return Truth(
        zero_point=float(record["zero_point"]),
        ra=sources["ra"],
        dec=sources["dec"],
        x=sources["x"],
        y=sources["y"],
        magnitude=sources["magnitude"],
        flux=sources["flux_adu"],
        is_star=sources["is_star"].astype(bool),
        half_light_radius_px=np.where(sources["is_star"], 0.0, sources["radius"] / PIXEL_SCALE),
        g1=sources["g1"],
        g2=sources["g2"],
        sersic=sources["sersic"],
        brighter_distance_px=sources["brighter_distance"],
        objects=objects,
        sky=_sky(record["sky_polynomial"], objects.shape),
        cosmic_rays=cosmic_rays,
        saturated=(_image(directory / "pixels.fits") & _SATURATED) != 0,
        psf_xy=np.stack([stars["x"], stars["y"]], axis=1),
        psf_stamps=_image(directory / "psf.fits", 2, axes=3),
    )


def _record(path: Path) -> dict[str, Any]:
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise MissingInputError(f"Cannot read {path}: {error.strerror or error}") from error
    except ValueError as error:
        raise DamagedInputError(f"{path} is not JSON: {error}", remedy="Simulate the frame again") from error
    missing = [key for key in ("zero_point", "sky_polynomial") if key not in record]
    if missing:
        raise DamagedInputError(f"{path} lacks {', '.join(missing)}", remedy="Simulate the frame again")
    return dict(record)


def _sky(coefficients: list[float], shape: tuple[int, ...]) -> FloatArray:
    y, x = np.ogrid[: shape[0], : shape[1]]
    u, v = scaled_position(x, y)
    one, cu, cv, cuu, cuv, cvv = coefficients
    sky: FloatArray = one + cu * u + cv * v + cuu * u * u + cuv * u * v + cvv * v * v
    return sky


def _image(path: Path, number: int = 0, axes: int = 2) -> npt.NDArray[Any]:
    with naming(path):
        return read_units(path)[number].array(axes)


def _table(path: Path) -> dict[str, npt.NDArray[Any]]:
    with naming(path):
        return read_table(read_units(path)[1])
