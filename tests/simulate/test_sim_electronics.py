from __future__ import annotations

import numpy as np
import pytest

from hscbox.camera.bf_kernel import brighter_fatter_kernel
from hscbox.camera.camera import load_camera
from hscbox.camera.crosstalk import crosstalk_matrix
from hscbox.simulate.cosmic_rays import cosmic_ray_charge
from hscbox.simulate.effects import Effects
from hscbox.simulate.electronics import add_crosstalk, bleed, brighter_fatter_change, displaced, invert_linearity
from hscbox.simulate.scene import Scene


def star_image(peak: float, shape: tuple[int, int] = (60, 70)) -> np.ndarray:
    y, x = np.mgrid[: shape[0], : shape[1]]
    return 6000.0 + peak * np.exp(-0.5 * ((x - 35.0) ** 2 + (y - 30.0) ** 2) / 1.305**2)


def test_brighter_fatter_change_by_plain_sums() -> None:
    image, kernel = star_image(50_000.0), brighter_fatter_kernel()
    change = brighter_fatter_change(image, kernel)

    def q(y: int, x: int) -> float:
        return float((kernel[::-1, ::-1] * image[y - 8 : y + 9, x - 8 : x + 9]).sum())

    for y, x in ((30, 35), (31, 36), (28, 33), (9, 9)):
        # Through each of the four faces: half the step of the potential times the mean charge on both sides.
        faces = [(y, x + 1), (y, x - 1), (y + 1, x), (y - 1, x)]
        expected = sum(0.25 * (image[y, x] + image[face]) * (q(*face) - q(y, x)) for face in faces)
        assert change[y, x] == pytest.approx(expected, rel=1e-9, abs=1e-9)
    assert not change[:9].any() and not change[:, :9].any() and not change[-9:].any()


def test_brighter_fatter_lowers_peaks_and_keeps_charge_and_is_undone_by_iteration() -> None:
    true, kernel = star_image(80_000.0), brighter_fatter_kernel()
    observed = true - brighter_fatter_change(true, kernel)
    assert observed[30, 35] < 0.99 * true[30, 35]
    assert observed.sum() == pytest.approx(true.sum(), rel=1e-11)
    recovered = observed
    for _ in range(12):
        recovered = observed + brighter_fatter_change(recovered, kernel)
    assert np.abs(recovered - true).max() < 1.0


def test_charge_pushed_aside_at_a_trail_is_that_of_the_charge_left_in_it() -> None:
    arriving, kernel = star_image(900_000.0, (90, 70)), brighter_fatter_kernel()
    full_well = np.full(70, 180_000.0)
    shifted = displaced(arriving, kernel, full_well)
    left = bleed(shifted, full_well)
    acting = np.where(left != shifted, left, arriving)
    assert np.count_nonzero(left == 180_000.0) > 20
    # A hundredth of the noise of the sky; with the trail of the charge before the effect 5000 electrons.
    assert np.abs(arriving - shifted - brighter_fatter_change(acting, kernel)).max() < 1.0
    before = brighter_fatter_change(bleed(arriving, full_well), kernel)
    assert np.abs(arriving - shifted - before).max() > 1000.0
    # Without a well charge acts where it arrives.
    expected = arriving - brighter_fatter_change(arriving, kernel)
    assert np.array_equal(displaced(arriving, kernel, None), expected)


def test_bleeding_fills_a_column_and_keeps_charge() -> None:
    charge = np.full((101, 3), 10.0)
    charge[50, 1] = 1000.0 + 40 * 90.0
    out = bleed(charge, np.full(3, 100.0))
    assert out.sum() == pytest.approx(charge.sum())
    full = np.flatnonzero(out[:, 1] >= 100.0 - 1e-9)
    # 4500 above the full well of 100, 90 free in each neighbour: 25 above and 25 below.
    assert (full.min(), full.max()) == (25, 75)
    assert np.all(out[:, [0, 2]] == 10.0)


def test_charge_at_the_end_of_a_column_is_lost() -> None:
    charge = np.zeros((10, 1))
    charge[0] = 1000.0
    out = bleed(charge, np.array([100.0]))
    assert out[0, 0] == 100.0 and out.sum() == pytest.approx(100.0 + 450.0)


def test_crosstalk_ghosts_have_the_right_place_and_depth() -> None:
    image = np.full((20, 2048), 500.0)
    image[7, 512 + 40] = 40_500.0
    out = add_crosstalk(image, load_camera()[55], crosstalk_matrix())
    ghosts = out - image
    # Amplifiers 0 and 2 are read out in the opposite direction of 1, 3 in the same.
    assert ghosts[7, 511 - 40] == pytest.approx(-124e-6 * 40_000, rel=1e-9)
    assert ghosts[7, 1024 + 511 - 40] == pytest.approx(-132e-6 * 40_000, rel=1e-9)
    assert ghosts[7, 1536 + 40] == pytest.approx(-157e-6 * 40_000, rel=1e-9)
    assert np.count_nonzero(np.abs(ghosts) > 1e-9) == 3


@pytest.mark.parametrize("c0", [2.2e-7, -3.4e-7, 0.0])
def test_linearity_is_inverted_exactly(c0: float) -> None:
    linear = np.array([-5.0, 0.0, 1.0, 2000.0, 55_000.0])
    raw = invert_linearity(linear, c0)
    assert np.allclose(raw * (1 + c0 * raw), linear, rtol=1e-14)
    assert (raw[-1] < linear[-1]) == (c0 > 0)


def test_cosmic_ray_rate_and_charge() -> None:
    scene = Scene(rows=1044)
    charge = cosmic_ray_charge(scene)
    # 480 x 1044 / 4176 events; a muon leaves 80 electrons per um over at least 200 um, most a bit more.
    assert 1e6 < charge.sum() < 1e7
    assert 750 < np.count_nonzero(charge > 400.0) < 4000
    double = cosmic_ray_charge(Scene(rows=1044, exposure_time=600.0))
    assert double.sum() / charge.sum() == pytest.approx(2.0, abs=0.6)
    assert not cosmic_ray_charge(Scene(rows=64, effects=Effects.only())).any()
