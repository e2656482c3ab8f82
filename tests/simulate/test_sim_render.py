from __future__ import annotations

import galsim
import numpy as np
import pytest

from hscbox.simulate.effects import Effects
from hscbox.simulate.fourier import galaxy_stamps
from hscbox.simulate.psf_model import TruePsf
from hscbox.simulate.render import draw_sources
from hscbox.simulate.scene import Scene
from hscbox.simulate.sources import SOURCE_DTYPE


def source(x: float, y: float, flux: float, **values: object) -> np.ndarray:
    row = np.zeros(1, dtype=SOURCE_DTYPE)
    row["x"], row["y"], row["flux_adu"] = x, y, flux
    for name, value in values.items():
        row[name] = value
    return row


def test_psf_has_the_size_of_the_reference_frame() -> None:
    psf = TruePsf(Scene())
    stamp = psf.kernel_image(1023.5, 2087.5)
    assert stamp.shape == (41, 41)
    assert stamp.sum() == pytest.approx(1.0, abs=1e-12)
    assert np.unravel_index(stamp.argmax(), stamp.shape) == (20, 20)
    # The published log says 1.30 and 1.31 pixels.
    assert galsim.ImageD(stamp).FindAdaptiveMom().moments_sigma == pytest.approx(1.305, abs=0.003)
    assert psf.enclosed(12.0) == pytest.approx(stamp.sum() * 0.989, abs=0.002)


def test_psf_varies_slowly_and_can_be_held() -> None:
    psf = TruePsf(Scene())
    sizes = [galsim.ImageD(psf.kernel_image(x, y)).FindAdaptiveMom().moments_sigma for x, y in ((0, 0), (2047, 4175))]
    assert 0.01 < np.ptp(sizes) / 1.305 < 0.2
    still = TruePsf(Scene(effects=Effects().without("psf_variation")))
    assert np.array_equal(still.kernel_image(0, 0), still.kernel_image(2047, 4175))


def test_psf_can_be_made_elliptic_everywhere() -> None:
    still = Effects().without("psf_variation")
    profile = TruePsf(Scene(psf_ellipticity=(0.12, 0.09), effects=still)).profile(500.0, 500.0)
    fine = profile.drawImage(nx=401, ny=401, scale=0.2, method="no_pixel").FindAdaptiveMom().observed_shape
    assert (fine.e1, fine.e2) == pytest.approx((0.12, 0.09), abs=1e-3)


def test_a_star_is_the_psf_times_its_flux() -> None:
    scene, psf = Scene(rows=128), TruePsf(Scene(rows=128))
    image = draw_sources(scene, source(700.0, 60.0, 1e5, is_star=True), psf)
    stamp = image[40:81, 680:721]
    assert np.allclose(stamp / stamp.sum(), psf.kernel_image(700.0, 60.0), atol=3e-5)
    # 0.4 % of the light lies beyond 20 pixels.
    assert stamp.sum() == pytest.approx(1e5, rel=0.008)
    assert image.sum() == pytest.approx(1e5, rel=0.003)


def test_centroids_are_where_the_table_says() -> None:
    scene = Scene(rows=128, effects=Effects.only())
    for x, y in ((500.0, 60.0), (500.37, 60.81), (500.5, 59.5)):
        for kind in ({"is_star": True}, {"radius": 0.3, "sersic": 1.0}):
            image = draw_sources(scene, source(x, y, 4000.0, **kind), TruePsf(scene))
            yy, xx = np.mgrid[40:81, 480:521]
            weight = image[40:81, 480:521] * (np.hypot(xx - x, yy - y) < 8)
            assert (weight * xx).sum() / weight.sum() == pytest.approx(x, abs=0.01)
            assert (weight * yy).sum() / weight.sum() == pytest.approx(y, abs=0.01)


@pytest.mark.parametrize("sersic", [1.0, 4.0])
def test_fourier_formulas_agree_with_galsim(sersic: float) -> None:
    psf = TruePsf(Scene())
    row = source(1200.3, 2100.8, 3000.0, radius=0.3, g1=0.2, g2=-0.3, sersic=sersic)
    stamps, columns, rows = galaxy_stamps(row, psf)
    kind = galsim.Exponential if sersic == 1.0 else galsim.DeVaucouleurs
    galaxy = kind(half_light_radius=0.3 / 0.168).shear(g1=0.2, g2=-0.3)
    expected = galsim.ImageD(np.zeros((63, 63)), xmin=int(columns[0]) - 31, ymin=int(rows[0]) - 31)
    profile = galsim.Convolve([galaxy, psf.profile(1200.3, 2100.8)]) * 3000.0
    profile.drawImage(expected, center=galsim.PositionD(1200.3, 2100.8), scale=1.0)
    # The noise of the sky is 24 ADU.
    assert np.abs(stamps[0] - expected.array).max() < 0.3


def test_faint_galaxies_keep_their_flux() -> None:
    scene = Scene(rows=128)
    rows = np.concatenate([source(300.2 + 50 * k, 64.4, 100.0 + k, radius=0.2, sersic=1.0) for k in range(20)])
    image = draw_sources(scene, rows, TruePsf(scene))
    assert image.sum() == pytest.approx(rows["flux_adu"].sum(), rel=1e-3)


def test_objects_beyond_the_border_are_cut() -> None:
    scene = Scene(rows=128)
    rows = np.concatenate(
        [
            source(-3.0, 10.0, 1e5, is_star=True),
            source(2050.0, 126.0, 1e4, radius=0.3, sersic=1.0),
            source(1000.0, 140.0, 50.0, radius=0.3, sersic=1.0),
            source(-400.0, 10.0, 1e3, is_star=True),
        ]
    )
    image = draw_sources(scene, rows, TruePsf(scene))
    assert image.shape == (128, 2048)
    assert np.isfinite(image).all()
    assert 100.0 < image[:, :30].sum() < 3e4
