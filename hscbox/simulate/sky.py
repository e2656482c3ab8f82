"""The synthetic sky: stars and galaxies with positions, shapes and Pan-STARRS magnitudes.

The sky is drawn cell by cell (triangles of the hierarchical triangular mesh, depth 11), each with its own random
numbers from (seed, cell). Every exposure of the same seed therefore sees the same objects, whatever its pointing,
CCD and filter.

Counts per square degree and magnitude in r. Stars: general-knowledge numbers for galactic latitude 60 degrees.
Galaxies from r = 21 to 23: LSST Science Book (arXiv:0912.0201) section 3.7.2, cumulative 46 * 10**(0.31 (i - 25))
per square arcminute with r - i = 0.5; brighter: slope 0.5; fainter: slope 0.365, between this and the 0.4 of HSC-SSP
counts, so that a 300 s frame shows as many sources as the reference frame; from 26.5 on the counts flatten.
"""

from __future__ import annotations

import zlib

import numpy as np
from lsst import sphgeom
from numpy.typing import NDArray

from ..catalog.htm import trixels_in_circle
from ..numerics.arrays import FloatArray

__all__ = ["OBJECT_DTYPE", "PS1_BANDS", "draw_sky"]


PS1_BANDS = ("g", "r", "i", "z", "y")

OBJECT_DTYPE = np.dtype(
    [
        ("id", "i8"),
        ("ra", "f8"),  # degrees
        ("dec", "f8"),
        ("is_star", "?"),
        *((band, "f8") for band in PS1_BANDS),  # true Pan-STARRS magnitudes
        ("radius", "f8"),  # half-light radius, arcsec; 0 for stars
        ("g1", "f8"),  # reduced shear of the intrinsic shape, detector frame
        ("g2", "f8"),
        ("sersic", "f8"),  # 1 or 4; 0 for stars
    ]
)

_DEPTH = 11
_BRIGHTEST = 15.5
_SPLIT = 24.2
_STAR_MAGNITUDES = np.arange(15.0, 26.0)
_STARS_PER_DEG2 = np.array([75.0, 110, 165, 230, 300, 390, 500, 640, 800, 950, 1100])
_GALAXIES_R21_PER_DEG2 = 88.66 / 0.018627
_GALAXY_MAGNITUDES = np.array([15.0, 21.0, 23.0, 26.5, 30.0])
_LOG_GALAXIES = np.cumsum([-3.0, 6 * 0.5, 2 * 0.31, 3.5 * 0.365, 3.5 * 0.25])
# Share of galaxies that have a brighter neighbour within a few arcseconds beyond what chance gives: the two-point
# function of faint galaxies, and what makes one detected group in seven a blend.
_CLUSTERED = 0.15
_CLUSTER_SCALE_ARCSEC = 1.6
_STEP = 0.01


def draw_sky(
    seed: int,
    ra: float,
    dec: float,
    radius: float,
    *,
    faint_limit: float,
    star_density: float = 1.0,
    galaxy_density: float = 1.0,
) -> NDArray[np.void]:
    """Draw all objects of the cells that touch a circle on the sky.

    Parameters
    ----------
    seed
        Number of the sky.
    ra, dec, radius
        Circle, degrees. Objects outside of it are returned too, as far as the cells reach.
    faint_limit
        Faintest r magnitude. What is brighter than r = 24.2 does not depend on it.
    star_density, galaxy_density
        Factors on the counts.

    Returns
    -------
    objects
        Array of `OBJECT_DTYPE`, ordered by cell.
    """
    pixelization = sphgeom.HtmPixelization(_DEPTH)
    parts = []
    for cell in trixels_in_circle(ra, dec, radius, _DEPTH):
        triangle = pixelization.triangle(cell)
        vertices = np.array([[v.x(), v.y(), v.z()] for v in triangle.getVertices()])
        area = _triangle_area(vertices)
        for number, (low, high) in enumerate(((_BRIGHTEST, _SPLIT), (_SPLIT, faint_limit))):
            if high > low:
                rng = _cell_rng(seed, cell, f"sky {number}")
                part = _draw_cell(rng, vertices, area, low, min(high, faint_limit), star_density, galaxy_density)
                part["id"] = cell * 2**18 + number * 2**17 + np.arange(len(part))
                parts.append(part)
    return np.concatenate(parts)


def _cell_rng(seed: int, cell: int, purpose: str) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, cell, zlib.crc32(purpose.encode())])))


def _triangle_area(vertices: FloatArray) -> float:
    """Return the area in square degrees; the cells are small enough to be flat."""
    normal = np.cross(vertices[1] - vertices[0], vertices[2] - vertices[0])
    return float(0.5 * np.linalg.norm(normal) * np.degrees(1.0) ** 2)


def _star_counts(magnitude: FloatArray) -> FloatArray:
    """Return stars per square degree and magnitude."""
    counts: FloatArray = 10.0 ** np.interp(magnitude, _STAR_MAGNITUDES, np.log10(_STARS_PER_DEG2))
    return counts


def _galaxy_counts(magnitude: FloatArray) -> FloatArray:
    """Return galaxies per square degree and magnitude."""
    logarithm = np.interp(magnitude, _GALAXY_MAGNITUDES, _LOG_GALAXIES)
    counts: FloatArray = _GALAXIES_R21_PER_DEG2 * 10.0**logarithm
    return counts


def _draw_magnitudes(rng: np.random.Generator, grid: FloatArray, counts: FloatArray, area: float) -> FloatArray:
    """Draw a Poisson number of magnitudes with density `counts` per square degree and magnitude."""
    cumulative = np.concatenate([[0.0], np.cumsum(counts) * _STEP])
    edges = np.concatenate([grid - _STEP / 2, grid[-1:] + _STEP / 2])
    number = rng.poisson(cumulative[-1] * area)
    magnitudes: FloatArray = np.interp(rng.random(number) * cumulative[-1], cumulative, edges)
    return magnitudes


def _draw_cell(
    rng: np.random.Generator,
    vertices: FloatArray,
    area: float,
    low: float,
    high: float,
    star_density: float,
    galaxy_density: float,
) -> NDArray[np.void]:
    grid = np.arange(low + _STEP / 2, high, _STEP)
    stars = _draw_magnitudes(rng, grid, star_density * _star_counts(grid), area)
    galaxies = np.sort(_draw_magnitudes(rng, grid, galaxy_density * _galaxy_counts(grid), area))
    objects = np.zeros(len(stars) + len(galaxies), dtype=OBJECT_DTYPE)
    objects["is_star"][: len(stars)] = True
    objects["ra"], objects["dec"] = _draw_positions(rng, vertices, len(stars), len(galaxies))
    red = np.concatenate([stars, galaxies])
    colors = np.concatenate([_star_colors(rng, len(stars)), _galaxy_colors(rng, len(galaxies))])
    objects["r"] = red
    objects["g"] = red + colors[:, 0]
    objects["i"] = red - colors[:, 1]
    objects["z"] = objects["i"] - colors[:, 2]
    objects["y"] = objects["z"] - colors[:, 3]
    _draw_shapes(rng, objects[len(stars) :])
    return objects


def _draw_positions(
    rng: np.random.Generator, vertices: FloatArray, n_stars: int, n_galaxies: int
) -> tuple[FloatArray, FloatArray]:
    """Scatter points in the triangle; some galaxies sit beside a brighter one (galaxies come brightest first)."""
    weights = rng.random((n_stars + n_galaxies, 2))
    folded = weights.sum(axis=1) > 1.0
    weights[folded] = 1.0 - weights[folded]
    points = vertices[0] + weights[:, :1] * (vertices[1] - vertices[0]) + weights[:, 1:] * (vertices[2] - vertices[0])
    ra = np.degrees(np.arctan2(points[:, 1], points[:, 0]))
    dec = np.degrees(np.arctan2(points[:, 2], np.hypot(points[:, 0], points[:, 1])))
    clustered = rng.random(n_galaxies) < _CLUSTERED
    partner = np.floor(rng.random(n_galaxies) * np.arange(n_galaxies)).astype(np.intp)
    offset = rng.standard_normal((n_galaxies, 2)) * (_CLUSTER_SCALE_ARCSEC / 3600.0)
    for index in np.flatnonzero(clustered[1:]) + 1:
        here, there = n_stars + index, n_stars + partner[index]
        dec[here] = dec[there] + offset[index, 1]
        ra[here] = ra[there] + offset[index, 0] / np.cos(np.radians(dec[there]))
    return ra % 360.0, dec


def _star_colors(rng: np.random.Generator, number: int) -> FloatArray:
    """Return g-r, r-i, i-z, z-y along the stellar locus: turn-off stars and M dwarfs."""
    red = rng.random(number) < 0.5
    g_r = np.where(red, 1.22, 0.42) + np.where(red, 0.06, 0.12) * rng.standard_normal(number)
    r_i = np.where(red, 0.5 + 1.3 * rng.random(number), 0.4 * g_r - 0.03)
    i_z = 0.48 * r_i - 0.02
    z_y = 0.25 * r_i - 0.01
    return np.stack([g_r, r_i, i_z, z_y], axis=1) + 0.02 * rng.standard_normal((number, 4))


def _galaxy_colors(rng: np.random.Generator, number: int) -> FloatArray:
    center = np.array([0.75, 0.45, 0.25, 0.10])
    width = np.array([0.35, 0.20, 0.12, 0.08])
    return center + width * rng.standard_normal((number, 4))


def _draw_shapes(rng: np.random.Generator, galaxies: NDArray[np.void]) -> None:
    """Fill in sizes (median 0.6 arcsec at r = 22, 0.35 at 24), ellipticities and profiles, in place."""
    number = len(galaxies)
    logarithm = np.log10(0.35) - 0.117 * (galaxies["r"] - 24.0) + 0.18 * rng.standard_normal(number)
    galaxies["radius"] = np.clip(10.0**logarithm, 0.06, 6.0)
    angle = 2.0 * np.pi * rng.random(number)
    size = np.minimum(0.2 * np.hypot(*rng.standard_normal((2, number))), 0.65)
    galaxies["g1"], galaxies["g2"] = size * np.cos(angle), size * np.sin(angle)
    galaxies["sersic"] = np.where(rng.random(number) < 0.8, 1.0, 4.0)
