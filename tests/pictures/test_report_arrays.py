"""From arrays to colours: stretch, binning, overlay, orientation."""

from __future__ import annotations

import numpy as np
import pytest

from hscbox.camera.boxes import Box
from hscbox.errors import UsageError
from hscbox.image.mask import MASK_PLANES, mask_bits
from hscbox.pictures.canvas import round_step
from hscbox.pictures.overlay import PLANE_COLOURS, chosen_planes, paint
from hscbox.pictures.render import render
from hscbox.pictures.sheet import Panel
from hscbox.pictures.stretch import Scale, difference_scale, grey_scale
from hscbox.pictures.zoom import Zoom, block_mean, block_union


def test_grey_levels_rise_and_end_at_black_and_white():
    scale = Scale(origin=-10.0, reach=1010.0, soft=5.0)
    values = np.linspace(-20.0, 1100.0, 5000)
    grey = scale.rgb(values)[:, 0].astype(int)
    assert (np.diff(grey) >= 0).all()
    assert scale.rgb(np.array([-10.0, 1000.0, np.nan, np.inf])).tolist() == [[0] * 3, [255] * 3, [0] * 3, [255] * 3]
    # asinh(202 / 5 soft) of the way: grey = 255 asinh(2) / asinh(202)
    assert scale.rgb(np.array([0.0])).tolist() == [[round(255 * np.arcsinh(2.0) / np.arcsinh(202.0))] * 3]
    assert scale.value(0.0) == -10.0 and scale.value(1.0) == pytest.approx(1000.0)


def test_grey_scale_follows_the_noise_and_not_the_bad_pixels():
    noise = np.random.default_rng(3).normal(1900.0, 20.0, (300, 300))
    good = np.ones(noise.shape, bool)
    noise[:30], good[:30] = 60000.0, False
    scale = grey_scale(noise, good)
    assert scale.origin == pytest.approx(1850.0, abs=2.0)
    assert scale.soft == pytest.approx(60.0, abs=2.0)
    assert scale.origin + scale.reach == pytest.approx(1980.0, abs=3.0)


@pytest.mark.parametrize("pixels", [np.zeros((4, 4)), np.full((4, 4), np.nan)])
def test_images_without_contrast_do_no_harm(pixels):
    scale = grey_scale(pixels, np.ones(pixels.shape, bool))
    assert scale.reach > 0 and scale.soft > 0
    assert scale.rgb(pixels).shape == (4, 4, 3)


def test_difference_colours_are_symmetric():
    scale = Scale(0.0, 10.0, 2.0, two_sided=True)
    low, zero, high = scale.rgb(np.array([-10.0, 0.0, 10.0])).astype(int)
    assert low[2] > 200 and low[0] < 50 and high[0] > 200 and high[2] < 50
    assert zero.tolist() == [247, 247, 247]
    assert (
        scale.value(0.0) == pytest.approx(-10.0) and scale.value(0.5) == 0.0 and scale.value(1.0) == pytest.approx(10)
    )


def test_difference_is_centred_on_an_offset_only_if_all_pixels_have_it():
    gradient = np.linspace(-1.0, 1.0, 10000).reshape(100, 100)
    assert difference_scale(gradient).origin == 0.0
    offset = difference_scale(gradient - 1000.0)
    assert offset.origin == pytest.approx(-1000.0, abs=0.01) and offset.reach == pytest.approx(1.0, abs=0.01)
    few = np.zeros((100, 100))
    few[3, :5] = -40.0
    assert difference_scale(few).origin == 0.0 and difference_scale(few).reach == 40.0
    assert difference_scale(np.full((5, 5), -100.0)).rgb(np.array([-100.0])).tolist() == [[33, 102, 222]]
    assert difference_scale(np.zeros((5, 5))).reach == 1.0


def test_blocks_average_finite_pixels_and_join_bits():
    pixels = np.arange(15.0).reshape(3, 5)
    pixels[0, 0] = np.nan
    # Blocks of 2 x 2; the last column and row are what is left over.
    expected = [[(1 + 5 + 6) / 3, (2 + 3 + 7 + 8) / 4, (4 + 9) / 2], [(10 + 11) / 2, (12 + 13) / 2, 14]]
    assert block_mean(pixels, 2) == pytest.approx(np.array(expected))
    assert np.isnan(block_mean(np.full((2, 2), np.nan), 2)).all()
    bits = np.array([[1, 0, 4], [2, 0, 8]], np.int32)
    assert block_union(bits, 2).tolist() == [[3, 12]]


def test_zoom_fits_frames_and_loses_nothing_of_cut_outs():
    assert Zoom.whole(2048, 4176, 1000) == Zoom(binning=4)
    assert Zoom.whole(2048, 96, 1000) == Zoom(binning=2)
    assert Zoom.cut_out(1500, 30, 1000) == Zoom()
    assert Zoom.cut_out(100, 90, 1000) == Zoom(magnification=10)
    assert Zoom(binning=4).length(4241) == 1061


def test_overlay_borders_are_solid_and_insides_tinted():
    bits = np.zeros((7, 7), np.int32)
    bits[1:6, 1:6] = mask_bits("SAT")
    bits[3, 3] |= mask_bits("CR")
    rgb = paint(np.full((7, 7, 3), 100, np.uint8), bits, ("SAT", "CR"))
    red, green, blue = PLANE_COLOURS["SAT"]
    assert rgb[0, 0].tolist() == [100] * 3
    assert rgb[1, 4].tolist() == [red, green, blue]
    assert rgb[2, 2].tolist() == [round(75 + 0.25 * c) for c in (red, green, blue)]
    assert tuple(rgb[3, 3]) == PLANE_COLOURS["CR"]
    assert (paint(np.full((7, 7, 3), 100, np.uint8), bits, ()) == 100).all()
    outlined = paint(np.full((7, 7, 3), 100, np.uint8), np.where(bits, mask_bits("DETECTED"), 0), ("DETECTED",))
    assert outlined[3, 3].tolist() == [100] * 3


def test_every_plane_has_a_colour_of_its_own():
    assert set(PLANE_COLOURS) == set(MASK_PLANES)
    assert len(set(PLANE_COLOURS.values())) == len(MASK_PLANES)


def test_planes_are_chosen_by_name():
    assert chosen_planes("cr,SAT") == ("SAT", "CR")
    assert chosen_planes("none") == ()
    assert set(chosen_planes("all")) == set(MASK_PLANES)
    assert "DETECTED" in chosen_planes(None) and "DETECTED" not in chosen_planes(None, cut_out=False)
    for wrong in ("COSMIC", "", "CR;SAT"):
        with pytest.raises(UsageError, match=r"allowed are all, none, or a list of BAD,SAT,"):
            chosen_planes(wrong)


def test_rows_go_up_and_regions_are_cut():
    image, mask = np.zeros((50, 60), np.float32), np.zeros((50, 60), np.int32)
    mask[12, 21] = mask_bits("CR")  # one to the right and two above the lower left corner of the region
    image[10, 24] = 1000.0
    drawn = render(Panel("", image, "ADU", mask), Box(20, 10, 5, 8), Zoom(magnification=3), ("CR",))[0]
    assert drawn.shape == (24, 15, 3)
    found = np.argwhere((drawn == PLANE_COLOURS["CR"]).all(axis=2))
    # Counted from the top: row 2 from below is row 5 of 8, and each takes three points; the centre is tinted only.
    assert found.min(axis=0).tolist() == [15, 3] and found.max(axis=0).tolist() == [17, 5]
    assert drawn[23, 14].tolist() == [255] * 3


@pytest.mark.parametrize(
    ("least", "step"),
    [(7 / 8, 1), (100 / 8, 20), (2048 / 5, 500), (4176 / 14, 500), (20.0, 20), (0.3, 0.5), (0.02, 0.02)],
)
def test_ticks_are_at_round_numbers(least: float, step: float):
    assert round_step(least) == pytest.approx(step)
