from __future__ import annotations

import galsim
import numpy as np
import pytest

from hscbox.catalog.source_catalog import SourceCatalog
from hscbox.image.mask import mask_bits
from hscbox.measure.shapes.hsm_moments import hsm_moments
from hscbox.measure.shapes.hsm_regauss import regauss

from .fields import SIGMA, disc, exposure_of, gaussian, task_for

SHAPE = (140, 150)
PSF_SIGMA = 1.6
HSM = "ext_shapeHSM_Hsm"


def stamps(n: int) -> list[tuple[np.ndarray, np.ndarray, float, float]]:
    """Draw galaxies, their PSFs and their centres; half are so faint or small that some measurements fail."""
    rng = np.random.default_rng(17)
    result = []
    for k in range(n):
        psf = galsim.Moffat(beta=3, half_light_radius=1.25 * PSF_SIGMA).shear(g1=0.04, g2=rng.uniform(-0.06, 0.06))
        galaxy = galsim.Exponential(half_light_radius=rng.uniform(0.3, 5)).shear(
            g1=rng.uniform(-0.4, 0.4), g2=rng.uniform(-0.4, 0.4)
        )
        both = galsim.Convolve(galaxy, psf)
        dx, dy = rng.uniform(-0.5, 0.5, 2)
        width, height = rng.integers(12, 60, 2)
        image = both.drawImage(nx=width, ny=height, scale=1, offset=(dx, dy), dtype=float).array
        noisy = image * 10 ** rng.uniform(2, 5) + rng.normal(0, 10 if k % 2 else 0.1, image.shape)
        if k % 5 == 0:
            noisy[:, width // 2 + 2] = 0.0
        drawn = psf.drawImage(nx=41, ny=41, scale=1, offset=(dx, dy), dtype=float).array
        result.append((noisy, drawn, (width - 1) / 2 + dx, (height - 1) / 2 + dy))
    return result


def by_galsim(stamp, psf, x, y):
    """Return what GalSim finds: moments and ellipticity, None where it fails."""
    image, drawn = galsim.Image(stamp, xmin=0, ymin=0, scale=1), galsim.Image(psf, scale=1)
    options = {"precision": 1e-6, "guess_centroid": galsim.PositionD(x, y), "strict": False}
    weight = galsim.Image(np.ones(stamp.shape, np.int32), xmin=0, ymin=0)
    m = galsim.hsm.FindAdaptiveMom(image, weight=weight, guess_sig=2.5 * PSF_SIGMA, **options)
    s = galsim.hsm.EstimateShear(
        image, drawn, weight=weight, sky_var=4.0, recompute_flux="FIT", guess_sig_gal=2.5 * PSF_SIGMA,
        guess_sig_PSF=PSF_SIGMA, **options,
    )  # fmt: skip
    e1, e2 = m.observed_shape.e1, m.observed_shape.e2
    scale = m.moments_sigma**2 / np.sqrt(1 - e1**2 - e2**2) if not m.error_message else np.nan
    moments = [m.moments_centroid.x, m.moments_centroid.y, scale * (1 + e1), scale * (1 - e1), scale * e2]
    shear = [s.corrected_e1, s.corrected_e2, s.resolution_factor, s.corrected_shape_err]
    return None if m.error_message else moments, None if s.error_message else shear


def test_moments_and_regauss_agree_with_galsim_also_in_what_fails():
    failures = [0, 0]
    for stamp, psf, x, y in stamps(150):
        moments, shear = by_galsim(stamp, psf, x, y)
        start = (2.5 * PSF_SIGMA) ** 2
        ours = hsm_moments(stamp, x, y, start, start, 0.0)
        assert ours.good == (moments is not None)
        failures[0] += moments is None
        if moments is None:
            continue
        assert [ours.x, ours.y] == pytest.approx(moments[:2], abs=1e-4)
        assert [ours.xx, ours.yy, ours.xy] == pytest.approx(moments[2:], rel=1e-4, abs=1e-4)
        corrected = regauss(stamp, ours, psf, PSF_SIGMA)
        assert corrected.good == (shear is not None)
        failures[1] += shear is None
        if shear is not None:
            error = np.sqrt(4 * np.pi * 4.0) * corrected.sigma / (corrected.resolution * corrected.flux)
            found = [corrected.e1, corrected.e2, corrected.resolution, error]
            assert found == pytest.approx(shear, rel=1e-4, abs=1e-4)
    # The stamps are hard enough to fail in both ways, and easy enough to succeed.
    assert failures[0] > 0 and failures[1] > 0 and sum(failures) < 60


def measured(image, positions, mask=None, children=None):
    task, schema = task_for(*(f"{HSM}{name}" for name in ("SourceMoments", "PsfMoments", "ShapeRegauss")))
    schema.add_field("deblend_nChild", "I")
    catalog = SourceCatalog(schema, len(positions))
    catalog.footprints = [disc(image.shape, x, y) for x, y in positions]
    catalog["deblend_nChild"] = 0 if children is None else children
    exposure = exposure_of(image, 4.0)
    if mask is not None:
        exposure.mask[:] = mask
    task.run(catalog=catalog, exposure=exposure, exposure_id=5)
    return catalog


def test_gaussians_have_their_moments_and_their_ellipticity_before_the_psf():
    q, flux = (5.0, 3.0, 0.7), 1e5
    catalog = measured(gaussian(SHAPE, 70.3, 60.8, flux, q), [(70.3, 60.8)])
    name = f"{HSM}SourceMoments"
    assert [catalog[f"{name}_{c}"][0] for c in "xy"] == pytest.approx([70.3, 60.8], abs=1e-3)
    assert [catalog[f"{name}_{c}"][0] for c in ("xx", "yy", "xy")] == pytest.approx(q, rel=2e-3)
    name = f"{HSM}PsfMoments"
    # Offsets from the middle of the stamp, not positions in the image.
    assert [catalog[f"{name}_{c}"][0] for c in "xy"] == pytest.approx([0, 0], abs=1e-6)
    assert [catalog[f"{name}_{c}"][0] for c in ("xx", "yy", "xy")] == pytest.approx([SIGMA**2, SIGMA**2, 0], abs=1e-3)
    name, trace = f"{HSM}ShapeRegauss", q[0] + q[1] - 2 * SIGMA**2
    assert catalog[f"{name}_e1"][0] == pytest.approx((q[0] - q[1]) / trace, rel=5e-3)
    assert catalog[f"{name}_e2"][0] == pytest.approx(2 * q[2] / trace, rel=5e-3)
    assert catalog[f"{name}_resolution"][0] == pytest.approx(trace / (q[0] + q[1]), rel=2e-3)
    expected = 2 * np.sqrt(4 * np.pi * 4.0) * (q[0] * q[1] - q[2] ** 2) ** 0.25 / (trace / (q[0] + q[1]) * flux)
    assert catalog[f"{name}_sigma"][0] == pytest.approx(expected, rel=1e-2)
    assert not any(catalog[f"{HSM}{plugin}_flag"][0] for plugin in ("SourceMoments", "PsfMoments", "ShapeRegauss"))


def test_bad_pixels_count_as_zero_and_blends_get_no_ellipticity():
    positions = [(40.0, 60.0), (100.0, 60.0)]
    image = sum(gaussian(SHAPE, x, y, 1e5) for x, y in positions)
    image[58, 41] = 1e7
    mask = np.zeros(SHAPE, np.int32)
    mask[58, 41] = mask_bits("SAT")
    catalog = measured(image, positions, mask, children=[0, 2])
    spotless = np.where(mask != 0, 0.0, image)
    assert catalog[f"{HSM}SourceMoments_xx"][0] == pytest.approx(
        measured(spotless, positions)[f"{HSM}SourceMoments_xx"][0], rel=1e-6
    )
    name = f"{HSM}ShapeRegauss"
    assert catalog[f"{name}_flag_parent_source"].tolist() == [False, True]
    assert catalog[f"{name}_flag"][1] and np.isnan(catalog[f"{name}_e1"][1]) and not catalog[f"{name}_flag_galsim"][1]
    assert not catalog[f"{HSM}SourceMoments_flag"][1]


def test_what_cannot_be_measured_is_nan_and_flagged():
    everywhere = np.full(SHAPE, mask_bits("BAD"), np.int32)
    catalog = measured(gaussian(SHAPE, 70.0, 60.0, 1e5), [(70.0, 60.0)], everywhere)
    for plugin, column in (("SourceMoments", "xx"), ("ShapeRegauss", "e1")):
        assert catalog[f"{HSM}{plugin}_flag"][0] and np.isnan(catalog[f"{HSM}{plugin}_{column}"][0])
    assert catalog[f"{HSM}ShapeRegauss_flag_galsim"][0]
