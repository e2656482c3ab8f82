"""Fits and gates of this room with numbers worked out by hand, and what can be set."""

from __future__ import annotations

import logging

import numpy as np
import pytest
from scipy.spatial import cKDTree
from settings import numbers

from hscbox.calibrate.astrometry import AstrometryConfig
from hscbox.calibrate.fit_wcs import FitTanSipWcsConfig, fit_tan_sip, fit_with_rejection
from hscbox.calibrate.matcher import MatchOptimisticBConfig
from hscbox.calibrate.pattern_search import _fit_rigid, apply_map, fit_affine, one_to_one
from hscbox.calibrate.photo_selection import PhotoCalConfig
from hscbox.calibrate.photocal import ReferenceMagnitudes, zero_point
from hscbox.calibrate.ref_objects import LoadReferenceObjectsConfig, ReferenceShards, RefObjLoader
from hscbox.camera.camera import load_camera
from hscbox.errors import AstrometryError, MatchesRejectedError, ZeroPointGateError
from hscbox.image.sky_wcs import SkyWcs
from hscbox.image.wcs import initial_wcs
from hscbox.products.reference_shards import make_reference_catalog

LOG = logging.getLogger("test")
STEP = 0.168 / 3600


def test_numbers_of_the_configuration() -> None:
    own = {name: value for name, value in numbers(AstrometryConfig).items() if "." not in name}
    assert own == {
        "maxIter": (3, 1, None),
        "matchDistanceSigma": (2.0, 0, None),
        "minMatchDistanceArcSec": (0.001, 0, None),
    }
    assert numbers(FitTanSipWcsConfig) == {
        "order": (3, 1, 7),
        "maxOrder": (5, 0, 7),
        "numIter": (3, 1, None),
        "numRejIter": (3, 0, None),
        "rejSigma": (3.0, 0, None),
        "minScatterArcsec": (0.0001, 0, None),
        "maxScatterArcsec": (1.0, 0, None),
    }
    assert numbers(MatchOptimisticBConfig) == {
        "numBrightStars": (150, 6, None),
        "numPointsForShape": (6, 4, None),
        "minMatchedPairs": (30, 2, None),
        "minFracMatchedPairs": (0.3, 0, 1),
        "maxOffsetPix": (400.0, 0, None),
        "maxRotationDeg": (1.145916, 0, 6),
        "maxMatchDistArcSec": (2.0, 0, None),
        "maxDeterminant": (0.02, 0, None),
        "allowedNonperpDeg": (0.2, 0, 45),
    }
    assert {name: value for name, value in numbers(PhotoCalConfig).items() if "." not in name} == {
        "nIter": (20, 1, None),
        "nSigma": (3.0, 0, None),
        "sigmaMax": (0.25, 0, None),
        "magErrFloor": (0.0, 0, None),
        "minStars": (3, 1, None),
        "maxScatter": (0.3, 0, None),
        "maxLoss": (4.0, 0, None),
        "maxGain": (1.0, 0, None),
    }
    assert numbers(LoadReferenceObjectsConfig) == {"pixelMargin": (300, 0, None)}


def stars(n: int = 9) -> tuple[ReferenceMagnitudes, np.ndarray, np.ndarray]:
    """Return stars of zero points 33 - 0.01, 33, 33 + 0.01, ... with errors of 1 % and 0.02 mag."""
    magnitude = np.linspace(18.0, 20.0, n)
    flux = 10 ** (-0.4 * (magnitude - 33.0 - 0.01 * (np.arange(n) % 3 - 1)))
    return ReferenceMagnitudes(magnitude, np.full(n, 0.02)), flux, 0.01 * flux


def test_error_of_the_zero_point_holds_source_reference_and_floor() -> None:
    config = PhotoCalConfig()
    config.magErrFloor = 0.03
    result = zero_point(*stars(), config, LOG)
    # One per cent of flux is 0.01086 mag. A reference that noise made brighter is trusted as little as one it made
    # fainter: its error is that of its true flux, which differs by up to 1 % here.
    one = np.sqrt(0.01086**2 + 0.02**2 + 0.03**2)
    assert result.n_good == 9 and result.error == pytest.approx(one / 3, rel=2e-3)
    assert result.value == pytest.approx(33.0, abs=1e-3)


def test_bounds_of_the_zero_point_belong_to_what_is_allowed() -> None:
    config = PhotoCalConfig()
    value = zero_point(*stars(), config, LOG).value
    for typical in (value - config.maxGain, value + config.maxLoss):
        assert typical - config.maxLoss <= value <= typical + config.maxGain
        assert zero_point(*stars(), config, LOG, typical).value == value
    for typical in (value - config.maxGain - 1e-6, value + config.maxLoss + 1e-6):
        with pytest.raises(ZeroPointGateError):
            zero_point(*stars(), config, LOG, typical)


@pytest.mark.parametrize("angle", [0.3, -0.02, 3.0])
def test_a_turn_and_a_shift_are_recovered(angle: float) -> None:
    source = np.random.default_rng(1).uniform(0, 2000, (12, 2))
    # A turn is a product of complex numbers.
    turned = (source[:, 0] + 1j * source[:, 1]) * np.exp(1j * angle)
    reference = np.stack([turned.real + 40.0, turned.imag - 70.0], axis=1)
    for fit in (_fit_rigid, fit_affine):
        found = fit(source, reference)
        expected = [[np.cos(angle), -np.sin(angle), 40.0], [np.sin(angle), np.cos(angle), -70.0]]
        assert found == pytest.approx(np.array(expected), abs=1e-8)
        assert apply_map(found, source) == pytest.approx(reference, abs=1e-8)


def test_of_two_that_want_one_the_closer_gets_it() -> None:
    tree = cKDTree([[0.0, 0.0], [10.0, 0.0], [20.0, 0.0]])
    source, reference = one_to_one(np.array([[9.0, 0.0], [10.5, 0.0], [1.5, 0.0], [23.5, 0.0]]), tree, 3.0)
    assert source.tolist() == [1, 2] and reference.tolist() == [1, 0]


def test_pairs_are_rejected_by_their_own_errors() -> None:
    """Half have 0.02 px, the other half 0.5 px: of the first those that are off by 0.5 px go, of the second none."""
    rng = np.random.default_rng(2)
    n = 200
    wcs = SkyWcs((1000.0, 2000.0), (34.0, -5.0), np.diag([-STEP, STEP]))
    x, y = rng.uniform(0, 2047, n), rng.uniform(0, 4175, n)
    ra, dec = wcs.pixel_to_sky(x, y)
    error = np.where(np.arange(n) < 100, 0.02, 0.5)
    x, y = x + rng.normal(0, 1, n) * error, y + rng.normal(0, 1, n) * error
    x[:4] += 0.5
    y[4:8] -= 0.5
    config = FitTanSipWcsConfig()
    config.order = 1
    used = fit_with_rejection(x, y, ra, dec, 1 / (0.168 * error), config).used
    assert not used[:8].any() and used[8:100].mean() > 0.95 and used[100:].mean() > 0.95


@pytest.mark.parametrize(("n", "enough"), [(10, True), (9, False)])
def test_ten_pairs_are_enough_with_the_camera(n: int, enough: bool) -> None:
    start = initial_wcs(load_camera()[50], _Pointing(34.0, -5.0, 0.0))
    rng = np.random.default_rng(3)
    x, y = rng.uniform(0, 2047, n), rng.uniform(0, 4175, n)
    ra, dec = start.pixel_to_sky(x, y)
    config = FitTanSipWcsConfig()
    config.rejSigma = 1e9
    x = x + rng.normal(0, 0.01, n)
    if not enough:
        with pytest.raises(MatchesRejectedError, match="at least 10 are needed"):
            fit_with_rejection(x, y, ra, dec, np.full(n, 100.0), config, start)
        return
    assert fit_with_rejection(x, y, ra, dec, np.full(n, 100.0), config, start).used.all()


class _Pointing:
    def __init__(self, ra: float, dec: float, inst_pa: float) -> None:
        self.boresight_ra, self.boresight_dec, self.inst_pa = ra, dec, inst_pa


@pytest.mark.parametrize(("ratio", "known"), [(9.5, True), (10.5, False)])
def test_pixels_ten_times_as_long_as_wide_are_no_pixels(ratio: float, known: bool) -> None:
    wcs = SkyWcs((1000.0, 2000.0), (34.0, -5.0), np.diag([-STEP, ratio * STEP]))
    x, y = (grid.ravel() for grid in np.meshgrid(np.linspace(500, 1500, 6), np.linspace(1900, 2100, 6)))
    ra, dec = wcs.pixel_to_sky(x, y)
    if not known:
        with pytest.raises(AstrometryError, match="line or a point"):
            fit_tan_sip(x, y, ra, dec, np.ones(36), order=1, iterations=3)
        return
    found = fit_tan_sip(x, y, ra, dec, np.ones(36), order=1, iterations=3)
    assert found.cd == pytest.approx(wcs.cd, abs=1e-6 * STEP)


@pytest.mark.parametrize(("right", "top"), [(1, 1), (1, -1), (-1, 1), (-1, -1)])
def test_references_are_loaded_to_the_margin_on_all_sides(right: int, top: int) -> None:
    """One shard holds a grid of stars: those in the grown box come back. Distortion carries one corner far out."""
    width, height, margin = 600, 900, 100
    step = 1.0 / 3600
    a, b = np.zeros((3, 3)), np.zeros((3, 3))
    a[2, 0], b[0, 2] = 1e-5 * right, 1e-5 * top
    wcs = SkyWcs((299.5, 449.5), (34.0, -5.0), np.diag([-step, step]), a, b)
    x, y = (g.ravel().astype(float) for g in np.meshgrid(np.arange(-243, 901, 50), np.arange(-243, 1201, 50)))
    ra, dec = wcs.pixel_to_sky(x, y)
    flux = np.full(len(x), 1e-4)
    shard = make_reference_catalog(np.arange(len(x)), ra, dec, {"r": flux}, {"r": flux / 100})
    empty = shard.subset(np.zeros(len(x), bool))
    config = LoadReferenceObjectsConfig()
    config.pixelMargin = margin
    given: list[int] = []

    def read(pixel: int) -> object:
        given.append(pixel)
        return shard if pixel == given[0] else empty

    region = RefObjLoader(config, "t", ReferenceShards(read, 7)).load_pixel_box(width, height, wcs, "r")
    # The grown box reaches 399.5 px to the sides and 549.5 px up and down, each pulled out by 1e-5 of its square.
    farthest = np.hypot(399.5 + 1e-5 * 399.5**2, 549.5 + 1e-5 * 549.5**2)
    assert region.radius == pytest.approx(farthest * step, rel=1e-5)
    inside = (x >= -margin) & (x <= width - 1 + margin) & (y >= -margin) & (y <= height - 1 + margin)
    assert sorted(region.catalog["id"]) == np.flatnonzero(inside).tolist()
    assert region.catalog["centroid_x"] == pytest.approx(x[region.catalog["id"]], abs=1e-3)
