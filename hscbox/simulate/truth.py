"""The truth behind a synthetic frame on disk: written with each frame, read back by validation.

Files in truth/<visit>-<ccd>/ (seven and three digits, as in all HSC names):

    scene.json         definition, its SHA-256, zero point, sky polynomial, true pointing, PSF coefficients
    sources.fits       one row per object on or near the frame (`sources.SOURCE_DTYPE`)
    objects.fits       noiseless light of the objects, calibrated ADU, without sky
    pixels.fits        uint8: 1 saturated (before any widening), 2 dead or in a defect
    cosmic_rays.fits   one row per pixel with true charge: x, y, charge_adu, sigma_adu (noise of that pixel)
    psf.fits           table of stars (id, x, y) and their noiseless PSF, 41 x 41 native pixels, sum 1, centred

Units and the meaning of "calibrated ADU" are defined in `scene`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..fits.cards import card
from ..fits.tables import Column, table_unit
from ..fits.write import FitsUnit, image_unit, primary_unit, write_units
from ..machine.files import write_bytes
from .frame import SimulatedFrame
from .illumination import sky_polynomial
from .psf_model import TruePsf, shape_sigma
from .scene import Scene

__all__ = ["psf_stars", "read_scene_record", "truth_directory", "write_truth"]

_SATURATED, _DEAD = 1, 2
_FORMATS = {"i8": "K", "i4": "J", "f8": "D", "f4": "E", "b1": "L"}
# Charge below this share of a pixel's noise is not worth a row; the definition of a true hit is 3 sigma.
_LEAST_SIGMA = 0.05
_FAINTEST_PSF_STAR_SNR = 20.0
_APERTURE = 12.0


def truth_directory(root: Path | str, scene: Scene) -> Path:
    """Return where the truth of a scene stands in a data set."""
    return Path(root) / "truth" / f"{scene.visit:07d}-{scene.ccd:03d}"


def psf_stars(frame: SimulatedFrame) -> NDArray[np.void]:
    """Return the stars whose centre is on the frame and not saturated, S/N above 20, brightest first."""
    stars = frame.ideal.sources[frame.ideal.sources["is_star"]]
    rows, columns = frame.scene.shape
    x, y = np.round(stars["x"]).astype(int), np.round(stars["y"]).astype(int)
    stars = stars[(x >= 0) & (x < columns) & (y >= 0) & (y < rows)]
    x, y = np.round(stars["x"]).astype(int), np.round(stars["y"]).astype(int)
    noise = np.sqrt(frame.ideal.variance[y, x] * 4.0 * np.pi) * shape_sigma(frame.scene)
    bad = frame.saturated[y, x] | frame.dead[y, x]
    chosen: NDArray[np.void] = stars[~bad & (stars["flux_adu"] > _FAINTEST_PSF_STAR_SNR * noise)]
    return chosen


def write_truth(root: Path | str, frame: SimulatedFrame, *, images: bool = True) -> Path:
    """Write the truth of a frame under `root`/truth and return its directory; scene.json comes last.

    Without `images` there are only sources.fits, cosmic_rays.fits and scene.json.
    """
    directory = truth_directory(root, frame.scene)
    write_units(directory / "sources.fits", _table(frame.ideal.sources))
    write_units(directory / "cosmic_rays.fits", _table(_cosmic_ray_rows(frame)))
    if images:
        _write_images(directory, frame)
    text = json.dumps(_record(frame), indent=2, sort_keys=True)
    write_bytes(directory / "scene.json", text.encode() + b"\n")
    return directory


def _write_images(directory: Path, frame: SimulatedFrame) -> None:
    objects = frame.ideal.objects.astype(np.float32)
    write_units(directory / "objects.fits", [image_unit(objects, primary=True)])
    pixels = frame.saturated * np.uint8(_SATURATED) + frame.dead * np.uint8(_DEAD)
    write_units(directory / "pixels.fits", [image_unit(pixels, primary=True)])
    stars = psf_stars(frame)
    stamps = np.zeros((len(stars), 41, 41))
    for number, star in enumerate(stars):
        stamps[number] = frame.ideal.psf.kernel_image(float(star["x"]), float(star["y"]))
    units = [*_table(stars[["id", "x", "y"]]), image_unit(stamps, [card("EXTNAME", "STAMPS")])]
    write_units(directory / "psf.fits", units)


def _table(rows: NDArray[np.void]) -> list[FitsUnit]:
    columns = [Column(name, _FORMATS[rows.dtype[name].str[1:]], rows[name], kind="") for name in rows.dtype.names or ()]
    return [primary_unit(), table_unit(columns)]


def _cosmic_ray_rows(frame: SimulatedFrame) -> NDArray[np.void]:
    sigma = np.sqrt(np.maximum(frame.ideal.variance, 1.0))
    y, x = np.nonzero(frame.cosmic_rays > _LEAST_SIGMA * sigma)
    rows = np.zeros(len(x), dtype=[("x", "i4"), ("y", "i4"), ("charge_adu", "f4"), ("sigma_adu", "f4")])
    rows["x"], rows["y"] = x, y
    rows["charge_adu"], rows["sigma_adu"] = frame.cosmic_rays[y, x], sigma[y, x]
    return rows


def _record(frame: SimulatedFrame) -> dict[str, Any]:
    scene, psf = frame.scene, TruePsf(frame.scene)
    rows, columns = scene.shape
    x, y = frame.ideal.sources["x"], frame.ideal.sources["y"]
    inside = (x > -0.5) & (x < columns - 0.5) & (y > -0.5) & (y < rows - 0.5)
    return {
        "scene": scene.to_dict(),
        "digest": scene.digest,
        "unit": "calibrated ADU: raw ADU divided by the master flat",
        "zero_point": scene.true_zero_point,
        "sky_level": scene.true_sky_level,
        "sky_polynomial": sky_polynomial(scene),
        "boresight": list(scene.true_boresight),
        "psf_coefficients": psf.coefficients.tolist(),
        "enclosed_12_pixels": psf.enclosed(_APERTURE),
        "sources": int(inside.sum()),
        "stars": int((inside & frame.ideal.sources["is_star"]).sum()),
    }


def read_scene_record(directory: Path | str) -> dict[str, Any] | None:
    """Return the content of scene.json in a truth directory; None if there is none or it is not whole."""
    try:
        record = json.loads((Path(directory) / "scene.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return record if isinstance(record, dict) else None
