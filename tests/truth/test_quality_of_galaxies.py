"""Numbers of galaxies and classes on made-up frames."""

from __future__ import annotations

import math
from dataclasses import replace

import galsim
import numpy as np
import pytest

from hscbox.truth.quality_classes import class_numbers, class_residuals
from hscbox.truth.quality_galaxies import galaxy_residuals
from hscbox.truth.scores import table_numbers
from hscbox.truth.selection import Pairs
from hscbox.truth.true_shapes import size_and_ellipticity, true_distortion, true_moments
from hscbox.truth.truth_maps import PsfMap

from .stars import Frame, frame


def galaxies(radius: float, g1: float, g2: float, sersic: float) -> Frame:
    made = frame((60.0, 200.0))
    n = len(made.truth.x)
    shape = {"half_light_radius_px": radius, "g1": g1, "g2": g2, "sersic": sersic}
    columns = {name: np.full(n, value) for name, value in shape.items()}
    return replace(made, truth=replace(made.truth, is_star=np.zeros(n, dtype=bool), **columns))


def moffat(x: float, y: float) -> galsim.GSObject:
    """Return a PSF, before the pixels, that changes over the CCD."""
    u, v = (x - 1023.5) / 1024, (y - 2087.5) / 2088
    shear = {"g1": 0.02 * u, "g2": 0.015 * v}
    # GalSim's usual accuracy jumps by some 1e-3 of the peak from place to place.
    fine = galsim.GSParams(folding_threshold=1e-4, maxk_threshold=1e-5)
    return galsim.Moffat(beta=3.5, fwhm=3.2 * (1 + 0.03 * u - 0.02 * v * v), gsparams=fine).shear(**shear)


@pytest.mark.parametrize("sersic", [1.0, 4.0])
def test_true_moments_are_those_of_the_profile_through_the_psf(sersic: float) -> None:
    made = galaxies(3.0, 0.2, -0.1, sersic)
    places = made.truth.psf_xy
    stamps = [moffat(*place).drawImage(nx=41, ny=41, scale=1.0, dtype=float).array for place in places]
    truth = replace(made.truth, psf_stamps=np.array([stamp / stamp.sum() for stamp in stamps]))
    chosen = np.array([5, 700])
    for number, found in zip(chosen, true_moments(truth, chosen), strict=True):
        kind = galsim.Exponential if sersic == 1 else galsim.DeVaucouleurs
        profile = kind(half_light_radius=3.0).shear(g1=0.2, g2=-0.1)
        seen = galsim.Convolve([profile, moffat(truth.x[number], truth.y[number])])
        moments = seen.drawImage(nx=101, ny=101, scale=1.0, dtype=float).FindAdaptiveMom()
        size, e1, e2 = size_and_ellipticity(*found)
        assert float(size) == pytest.approx(moments.moments_sigma, rel=2e-3)
        assert float(e1) == pytest.approx(moments.observed_shape.e1, abs=1e-3)
        assert float(e2) == pytest.approx(moments.observed_shape.e2, abs=1e-3)


def test_psf_map_returns_a_smoothly_changing_psf() -> None:
    made = frame((60.0, 200.0))
    drawn = [moffat(*place).drawImage(nx=41, ny=41, scale=1.0, dtype=float).array for place in made.truth.psf_xy]
    found = PsfMap.fit(replace(made.truth, psf_stamps=np.array([stamp / stamp.sum() for stamp in drawn])))
    assert found is not None
    wanted = moffat(333.0, 1234.0).drawImage(nx=41, ny=41, scale=1.0, dtype=float).array
    assert np.abs(found.stamp(333.0, 1234.0) - wanted / wanted.sum()).max() < 1e-4 * wanted.max()


def test_distortion_of_a_shear() -> None:
    # An axis ratio q is the shear (1 - q) / (1 + q) and the distortion (1 - q^2) / (1 + q^2).
    q = 0.5
    e1, e2 = true_distortion(np.array([(1 - q) / (1 + q)]), np.array([0.0]))
    assert (e1[0], e2[0]) == pytest.approx(((1 - q**2) / (1 + q**2), 0.0))


def test_biases_of_galaxies_come_out() -> None:
    made = galaxies(2.0, 0.0, 0.0, 1.0)
    truth, sources, rng, n = made.truth, made.sources, np.random.default_rng(5), len(made.truth.x)
    truth = replace(truth, g1=rng.uniform(-0.3, 0.3, n), g2=rng.uniform(-0.3, 0.3, n))
    e1, e2 = true_distortion(truth.g1, truth.g2)
    sources["ext_photometryKron_KronFlux_flux"] = truth.flux * 10 ** (-0.4 * (0.05 + rng.normal(0, 0.01, n)))
    sources["ext_shapeHSM_HsmShapeRegauss_e1"] = 0.97 * e1 + 0.01 + rng.normal(0, 0.02, n)
    sources["ext_shapeHSM_HsmShapeRegauss_e2"] = 0.97 * e2 + rng.normal(0, 0.02, n)
    sources["ext_shapeHSM_HsmShapeRegauss_resolution"] = 0.6
    sources["ext_shapeHSM_HsmShapeRegauss_resolution"][:10] = 0.1
    chosen = np.arange(100)
    for row, moments in zip(chosen, true_moments(truth, chosen), strict=True):
        for end, moment in zip(("xx", "yy", "xy"), moments, strict=True):
            sources[f"ext_shapeHSM_HsmSourceMoments_{end}"][row] = 1.04 * moment
    few = table_numbers("galaxies", galaxy_residuals(truth, sources, made.exposure, Pairs(chosen, chosen)))
    # Moments 4 % too large are a radius 2 % too large.
    assert few["moments_size_bias"].value == pytest.approx(100 * (math.sqrt(1.04) - 1), abs=1e-6)
    assert few["moments_e1_bias"].value == pytest.approx(0.0, abs=1e-9)
    assert few["kron_bias"].value == pytest.approx(50.0, abs=4.0)
    assert few["kron_scatter"].value == pytest.approx(10.0, abs=4.0)
    assert few["regauss_e1_bias"].value == pytest.approx(0.01, abs=0.012)
    assert few["regauss_e1_bias"].n == 90
    assert abs(few["regauss_response"].value + 0.03) < 3.5 * few["regauss_response"].error
    assert few["regauss_response"].error < 0.01
    assert few["regauss_e_scatter"].value == pytest.approx(0.021, abs=0.006)


def test_shapes_that_a_catalogue_lacks_are_not_measured() -> None:
    made = frame((60.0, 200.0), complete=False)
    some = np.arange(3)
    truth = replace(made.truth, half_light_radius_px=np.full(len(made.truth.x), 2.0))
    numbers = table_numbers("galaxies", galaxy_residuals(truth, made.sources, made.exposure, Pairs(some, some)))
    assert all(math.isnan(number.value) and number.n == 0 for number in numbers.values())


def test_classes_are_counted_by_what_they_should_be() -> None:
    made = frame((60.0, 200.0))
    n = len(made.truth.x)
    is_star = np.arange(n) % 2 == 0
    truth = replace(made.truth, is_star=is_star)
    extended = np.where(is_star, 0.0, 1.0)
    inside = (np.abs(truth.x - 599.5) < 575) & (np.abs(truth.y - 799.5) < 775)
    stars, others = np.flatnonzero(is_star & inside), np.flatnonzero(~is_star & inside)
    # Ten stars called galaxies, five without a class; twenty galaxies called stars.
    extended[stars[:10]], extended[stars[10:15]], extended[others[:20]] = 1.0, np.nan, 0.0
    made.sources["base_ClassificationExtendedness_value"] = extended
    numbers = class_numbers(class_residuals(truth, made.sources, made.exposure))
    called_stars, called_others = len(stars) - 15 + 20, len(others) - 20 + 10
    for name, hits, count in (
        ("stars_called_stars", len(stars) - 15, len(stars)),
        ("galaxies_called_galaxies", len(others) - 20, len(others)),
        ("star_purity", len(stars) - 15, called_stars),
        ("galaxy_purity", len(others) - 20, called_others),
    ):
        assert numbers[name].n == count, name
        assert numbers[name].value == pytest.approx(hits / count), name


def test_no_classes_at_all_are_not_measured() -> None:
    made = frame((60.0, 200.0))
    made.sources["base_ClassificationExtendedness_value"] = np.nan
    numbers = class_numbers(class_residuals(made.truth, made.sources, made.exposure))
    assert {number.n for number in numbers.values()} == {0}
