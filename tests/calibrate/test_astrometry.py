"""The match-and-fit loop on a synthetic list of stars of CCD 55; nothing is drawn."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest

from hscbox.calibrate.astrometry import AstrometryConfig, AstrometryTask
from hscbox.calibrate.ref_objects import ReferenceRegion
from hscbox.camera.camera import load_camera
from hscbox.camera.distortion import pixel_to_sky
from hscbox.catalog.schema import Field
from hscbox.catalog.source_catalog import SourceCatalog, make_minimal_schema
from hscbox.errors import NoMatchError, WcsGateError
from hscbox.image.wcs import initial_wcs
from hscbox.products.reference_shards import make_reference_catalog

_FLAGS = ("flag_edge", "flag_interpolatedCenter", "flag_saturated")
_N = 200


@dataclass(frozen=True)
class _Pointing:
    boresight_ra: float
    boresight_dec: float
    inst_pa: float


TRUE = _Pointing(34.5, -4.85, 10.0)


def _sources(x, y, flux, saturated=False):
    schema = make_minimal_schema()
    for name in ("c_x", "c_y", "f_flux", "f_fluxSigma", "s_xx", "s_yy"):
        schema.add(Field(name, "D", name))
    schema.add(Field("deblend_nChild", "I", "number of children"))
    for name in ("c_flag", "f_flag", *(f"base_PixelFlags_{flag}" for flag in _FLAGS)):
        schema.add(Field(name, "Flag", name))
    for slot, name in (("Centroid", "c"), ("PsfFlux", "f"), ("Shape", "s")):
        schema.set_alias(f"slot_{slot}", name)
    catalog = SourceCatalog(schema, len(x))
    catalog["id"] = np.arange(1, len(x) + 1)
    catalog["c_x"], catalog["c_y"], catalog["f_flux"], catalog["f_fluxSigma"] = x, y, flux, flux / 200
    catalog["s_xx"] = catalog["s_yy"] = 2.0
    catalog["base_PixelFlags_flag_saturated"] = saturated
    return catalog


def _field(offset_arcsec=0.0, turn_deg=0.0, noise_arcsec=0.01, listed=1.0):
    """Return sources, references and the WCS of a wrong pointing."""
    rng = np.random.default_rng(21)
    detector = load_camera()[55]
    x, y = rng.uniform(0, 2047, _N), rng.uniform(0, 4175, _N)
    flux = 10 ** rng.uniform(3, 5, _N)
    ra, dec = pixel_to_sky(detector, x, y, TRUE.boresight_ra, TRUE.boresight_dec, TRUE.inst_pa)
    keep = rng.random(_N) < listed
    noisy_ra = ra + rng.normal(0, noise_arcsec, _N) / 3600 / np.cos(np.deg2rad(dec))
    noisy_dec = dec + rng.normal(0, noise_arcsec, _N) / 3600
    jansky = flux[keep] * 1e-9
    references = make_reference_catalog(
        np.flatnonzero(keep) + 1000, noisy_ra[keep], noisy_dec[keep], {"r": jansky}, {"r": jansky / 100}
    )
    region = ReferenceRegion(references, "r_flux", float(ra.mean()), float(dec.mean()), 0.2, "r")
    # A turn about the middle of the CCD, which a turn about the boresight is not: the boresight moves along.
    pointing = _Pointing(TRUE.boresight_ra, TRUE.boresight_dec + offset_arcsec / 3600, TRUE.inst_pa + turn_deg)
    return _sources(x, y, flux), region, initial_wcs(detector, pointing), (ra, dec)


@pytest.mark.parametrize(("offset", "turn", "listed"), [(0.0, 0.0, 1.0), (60.0, 0.0, 0.3), (-40.0, 0.02, 1.0)])
def test_wrong_pointing_is_put_right(offset, turn, listed):
    sources, region, start, (ra, dec) = _field(offset, turn, listed=listed)
    solution = AstrometryTask(AstrometryConfig(), "astrometry").run(sources, region, start)
    assert len(solution.match) > 0.9 * len(region.catalog)
    assert np.all(region.catalog["id"][solution.match.reference] - 1000 == solution.match.source)
    found_ra, found_dec = solution.fit.wcs.pixel_to_sky(sources["c_x"], sources["c_y"])
    error = 3.6e6 * np.hypot((found_ra - ra) * np.cos(np.deg2rad(dec)), found_dec - dec)
    # 10 mas per axis over 60 to 200 stars, 6 free linear terms and a few more.
    assert np.sqrt(np.mean(error**2)) < 10 * np.sqrt(2 * 8 / (listed * _N))


def test_references_weigh_by_their_best_band():
    """In y all have 10 %; r tells half with 0.2 % from half with 13 %, which are all 20 mas too far north.

    Errors of 0.47 arcsec / S/N, 6 mas and 5 mas in quadrature, of source 1.3 mas, are 8 and 62 mas: the second half has
    1/61 of the weight. With equal weights the WCS would follow by 10 mas.
    """
    sources, region, start, (_, dec) = _field(noise_arcsec=0.005)
    good = np.arange(_N) % 2 == 0
    flux = region.catalog["r_flux"]
    references = make_reference_catalog(
        region.catalog["id"],
        np.rad2deg(region.catalog["coord_ra"]),
        np.rad2deg(region.catalog["coord_dec"]) + np.where(good, 0.0, 0.02) / 3600,
        {"r": flux, "y": flux},
        {"r": flux * np.where(good, 0.002, 0.13), "y": flux * 0.1},
    )
    region = replace(region, catalog=references, flux_field="y_flux", filter_name="y")
    solution = AstrometryTask(AstrometryConfig(), "astrometry").run(sources, region, start)
    assert len(solution.match) > 0.95 * _N
    _, found_dec = solution.fit.wcs.pixel_to_sky(sources["c_x"], sources["c_y"])
    # 20/62 mas, and the mean of a hundred of 5 mas.
    assert np.mean(found_dec - dec) * 3.6e6 == pytest.approx(0.3, abs=3 * 0.5)


def test_children_are_matched_and_blends_are_not():
    """Every fifth source is the child of a blend, whose own centre lies half an arcsecond beside it."""
    sources, region, start, _ = _field()
    children = np.flatnonzero(np.arange(_N) % 5 == 0)
    blends = np.arange(len(children))
    x, y, flux = (
        np.concatenate([sources[name][children] + shift, sources[name]])
        for name, shift in (("c_x", 3.0), ("c_y", 0.0), ("f_flux", 0.0))
    )
    blended = _sources(x, y, flux)
    blended["deblend_nChild"][blends] = 2
    blended["parent"][len(blends) + children] = blended["id"][blends]
    solution = AstrometryTask(AstrometryConfig(), "astrometry").run(blended, region, start)
    assert not np.isin(blends, solution.match.source).any()
    assert np.isin(len(blends) + children, solution.match.source).mean() > 0.9


def test_unrelated_references_are_unable_to_match():
    sources, region, start, _ = _field()
    middle = float(region.dec)
    region.catalog["coord_dec"] = np.deg2rad(2 * middle) - region.catalog["coord_dec"]
    with pytest.raises(NoMatchError, match=r"Unable to match 200 sources to 200 reference objects: the best") as caught:
        AstrometryTask(AstrometryConfig(), "astrometry").run(sources, region, start)
    assert (caught.value.code, caught.value.exit_status) == ("unable-to-match", 20)
    assert {"usable": 200, "references": 200}.items() <= caught.value.numbers.items()
    assert caught.value.numbers["pairs"] < 20


def test_faint_sources_are_unable_to_match():
    sources, region, start, _ = _field()
    sources["f_fluxSigma"] = sources["f_flux"] / 10
    with pytest.raises(NoMatchError, match="None of 200 sources is usable") as caught:
        AstrometryTask(AstrometryConfig(), "astrometry").run(sources, region, start)
    assert caught.value.numbers == {"sources": 200, "usable": 0}


def test_saturated_sources_are_unable_to_match():
    sources, region, start, _ = _field()
    sources["base_PixelFlags_flag_saturated"] = True
    with pytest.raises(NoMatchError, match="all saturated, interpolated or at the edge"):
        AstrometryTask(AstrometryConfig(), "astrometry").run(sources, region, start)


def test_gate_of_the_scatter():
    sources, region, start, _ = _field(noise_arcsec=0.2)
    config = AstrometryConfig()
    config.wcsFitter.maxScatterArcsec = 0.1
    with pytest.raises(WcsGateError, match=r"Median distance of \d+ matches is 0\.\d+ arcsec") as caught:
        AstrometryTask(config, "astrometry").run(sources, region, start)
    # Two axes of 0.2 arcsec: the median of a Rayleigh distribution is 1.18 sigma.
    assert caught.value.code == "wcs-gate"
    assert caught.value.numbers["scatter"] == pytest.approx(0.235, rel=0.15)


def test_gate_of_zero_scatter():
    """Sources matched to a copy of themselves under the WCS that made it prove nothing."""
    sources, region, start, _ = _field(noise_arcsec=0.0)
    ra, dec = start.pixel_to_sky(sources["c_x"], sources["c_y"])
    region.catalog["coord_ra"], region.catalog["coord_dec"] = np.deg2rad(ra), np.deg2rad(dec)
    task = AstrometryTask(AstrometryConfig(), "astrometry")
    with pytest.raises(WcsGateError, match=r"is 0\.000 arcsec, allowed is 0\.0001 to 1"):
        task.run(sources, region, start)
