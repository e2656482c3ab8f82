"""Objects of the synthetic sky as one CCD sees them: pixel positions, magnitudes in its filter, fluxes."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial import cKDTree

from ..camera.colorterms import color_term
from ..camera.distortion import PIXEL_SCALE, pixel_to_sky, sky_to_field_angle, sky_to_pixel
from ..camera.geometry import CCD_CENTRE
from ..numerics.arrays import FloatArray
from .scene import Scene
from .sky import OBJECT_DTYPE, draw_sky

__all__ = ["REFCAT_NAME", "SOURCE_DTYPE", "hsc_magnitudes", "scene_objects", "scene_sources", "true_pixels"]


REFCAT_NAME = "ps1_pv3_3pi_20170110"
"""Name of the reference catalogue; its colour terms hold between the sky's magnitudes and those of HSC."""

SOURCE_DTYPE = np.dtype(
    [
        ("id", "i8"),
        ("ra", "f8"),  # degrees
        ("dec", "f8"),
        ("x", "f8"),  # detector pixels
        ("y", "f8"),
        ("magnitude", "f8"),  # HSC magnitude in the filter of the scene
        ("flux_adu", "f8"),  # calibrated ADU, total
        ("is_star", "?"),
        ("radius", "f8"),  # half-light radius before the PSF, arcsec
        ("g1", "f8"),
        ("g2", "f8"),
        ("sersic", "f8"),
        ("brighter_distance", "f8"),  # pixels; inf if none of the 32 nearest is brighter
        ("blended", "?"),  # a brighter neighbour within one FWHM
    ]
)

# Objects outside of the frame whose light reaches in.
_MARGIN = 300.0
_FAINT_MARGIN = 32.0
_REACHING_MAGNITUDE = 21.0
# The reference catalogue is loaded in a circle around the CCD, 250 pixels beyond its corners, from a header
# position up to half an arcminute off.
_REFERENCE_RADIUS_DEG = 0.145


def true_pixels(scene: Scene, ra: ArrayLike, dec: ArrayLike) -> tuple[FloatArray, FloatArray]:
    """Return the true detector positions of points on the sky (degrees), pointing error included."""
    ra0, dec0 = scene.true_boresight
    if scene.effects.distortion:
        return sky_to_pixel(scene.detector, ra, dec, ra0, dec0, scene.inst_pa)
    field_x, field_y = sky_to_field_angle(ra, dec, ra0, dec0, scene.inst_pa)
    return scene.detector.focal_plane_to_pixel(field_x / PIXEL_SCALE, field_y / PIXEL_SCALE)


def scene_objects(scene: Scene) -> NDArray[np.void]:
    """Return the objects of the sky around the CCD, in the circle that the reference catalogue must fill.

    Faint objects (r > 24.2) are complete over the whole circle too.
    """
    ra0, dec0 = scene.true_boresight
    ra, dec = pixel_to_sky(scene.detector, *CCD_CENTRE, ra0, dec0, scene.inst_pa)
    return draw_sky(
        scene.seed,
        float(ra),
        float(dec),
        _REFERENCE_RADIUS_DEG,
        faint_limit=scene.faint_limit,
        star_density=scene.star_density,
        galaxy_density=scene.galaxy_density,
    )


def hsc_magnitudes(objects: NDArray[np.void], canonical: str) -> FloatArray:
    """Return HSC magnitudes from Pan-STARRS ones by the colour term of the filter, without error.

    Raises
    ------
    ConfigError
        There is no colour term for the filter.
    """
    term = color_term(REFCAT_NAME, canonical)
    return term.magnitude(objects[term.primary], objects[term.secondary])


def scene_sources(scene: Scene, objects: NDArray[np.void] | None = None) -> NDArray[np.void]:
    """Return the objects whose light falls on the frame, brightest first, as an array of `SOURCE_DTYPE`."""
    sky = scene_objects(scene) if objects is None else objects
    assert sky.dtype == OBJECT_DTYPE
    x, y = true_pixels(scene, sky["ra"], sky["dec"])
    margin = np.where(sky["r"] < _REACHING_MAGNITUDE, _MARGIN, _FAINT_MARGIN)
    near = (x > -margin) & (x < scene.shape[1] + margin) & (y > -margin) & (y < scene.shape[0] + margin)
    sources = np.zeros(np.count_nonzero(near), dtype=SOURCE_DTYPE)
    for name in ("id", "ra", "dec", "is_star", "radius", "g1", "g2", "sersic"):
        sources[name] = sky[name][near]
    sources["x"], sources["y"] = x[near], y[near]
    sources["magnitude"] = hsc_magnitudes(sky[near], scene.canonical_filter)
    sources["flux_adu"] = 10.0 ** (0.4 * (scene.true_zero_point - sources["magnitude"]))
    sources = sources[np.lexsort((sources["id"], sources["magnitude"]))]
    sources["brighter_distance"] = _brighter_distance(sources)
    sources["blended"] = sources["brighter_distance"] < scene.seeing / PIXEL_SCALE
    return sources


def _brighter_distance(sources: NDArray[np.void]) -> FloatArray:
    """Return the distance in pixels to the nearest brighter source; sources come brightest first."""
    count = len(sources)
    if count < 2:
        return np.full(count, np.inf)
    positions = np.stack([sources["x"], sources["y"]], axis=1)
    distance, index = cKDTree(positions).query(positions, k=min(33, count))
    distance[index >= np.arange(count)[:, None]] = np.inf
    nearest: FloatArray = distance.min(axis=1)
    return nearest
