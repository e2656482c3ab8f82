from __future__ import annotations

from pathlib import Path

import pytest

from hscbox.camera.colorterms import color_term
from hscbox.camera.filters import all_filters
from hscbox.errors import ConfigError, MissingInputError, UsageError
from hscbox.refcat.column_map import load_map, shipped_maps
from hscbox.refcat.query import adql, sync_url, tap_of
from hscbox.refcat.sky import Cone, children, depth_of, descendants

_GOOD = """
description = "mine"
[columns]
id = "id"
ra = "ra"
dec = "dec"
[bands.g]
magnitude = "gmag"
"""


def test_shipped_maps() -> None:
    assert shipped_maps() == ["gaia_dr3", "ps1"]
    for name in shipped_maps():
        found = load_map(name)
        tap = tap_of(found)
        assert tap.url.startswith("https://")
        assert all(cut.reason for cut in tap.cuts)
        assert all(band.error for band in found.bands.values())


def test_ps1_has_the_bands_that_a_run_asks_for() -> None:
    bands = set(load_map("ps1").bands)
    assert {item.refcat_band for item in all_filters() if item.refcat_band} <= bands
    for name in ("g", "r", "r2", "i", "i2", "z", "y"):
        term = color_term("ps1_pv3_3pi_20170110", name)
        assert {term.primary, term.secondary} <= bands


def test_query() -> None:
    gaia, ps1 = load_map("gaia_dr3"), load_map("ps1")
    text = adql(gaia, tap_of(gaia), 131072)
    assert text.startswith("SELECT source_id, ra, dec, phot_g_mean_flux, ")
    assert "FROM gaiadr3.gaia_source WHERE 1 = CONTAINS(POINT('ICRS', ra, dec), POLYGON('ICRS', " in text
    assert text.endswith("AND (astrometric_params_solved > 3) AND (ruwe < 1.4) AND (phot_g_mean_flux > 0)")
    assert "CIRCLE('ICRS', " in adql(ps1, tap_of(ps1), 131072 * 4)
    assert sync_url("https://archive/tap/") == "https://archive/tap/sync"
    assert sync_url("https://archive/tap/sync") == "https://archive/tap/sync"


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (
            ("description", "descripton"),
            r"mine.toml: unknown key 'descripton'; did you mean 'description'\? Allowed are description, source, col",
        ),
        (("description", "source"), r"mine.toml: 'description' is missing"),
        (
            ('id = "id"', 'id = "id"\nparallax = "p"'),
            r"unknown key 'columns.parallax'; allowed are id, ra, dec, missing",
        ),
        (('id = "id"', "id = 5"), "'columns.id' is 5, it must be a text"),
        (('id = "id"', 'id = " "'), "'columns.id' is ' ', it must not be empty"),
        (('magnitude = "gmag"', ""), "'bands.g': give either 'magnitude' or 'flux'"),
        (('magnitude = "gmag"', 'magnitude = "g"\nunit = "Jy"'), "'bands.g': 'unit' does not go with 'magnitude'"),
        (('magnitude = "gmag"', 'magnitud = "g"'), "'bands.g.magnitud'; did you mean 'bands.g.magnitude'"),
        (('magnitude = "gmag"', 'flux = "f"'), "'bands.g': a flux needs either 'unit' or 'zero_point'"),
        (('magnitude = "gmag"', 'flux = "f"\nunit = "erg"'), "'bands.g.unit' is 'erg', it must be 'Jy', 'mJy'"),
        (('magnitude = "gmag"', 'magnitude = "g"\nto_ab = nan'), "'bands.g.to_ab' is nan, it must be a finite number"),
        (("[bands.g]", "[bands.'g r']"), "a band's name is made of letters"),
        (('[bands.g]\nmagnitude = "gmag"', "[bands]"), "'bands': it must have at least 1 item"),
        (
            ("[bands.g]", '[flags.bright]\ncolumn = "b"\nset_by = [1]\n[bands.g]'),
            "'flags.bright' is 'bright', it must be 'photometric', 'resolved' or 'variable'",
        ),
        (
            ("[bands.g]", '[flags.variable]\ncolumn = "b"\nset_by = [[1]]\n[bands.g]'),
            "'flags.variable.set_by.0' is .*, it must be a text, a number",
        ),
        (("[bands.g]", '[epoch]\nunit = "jyear"\n[bands.g]'), "'epoch': give either 'value' or 'column'"),
        (("[bands.g]", '[tap]\nurl = "u"\ntable = "t"\nregion = "box"\n[bands.g]'), "'tap.region' is 'box', it must"),
        (
            ("[bands.g]", '[tap]\nurl = "u"\ntable = "t"\nregion = "circle"\nquery_depth = 6\n[bands.g]'),
            "'tap.query_depth' is 6, it must be greater than or equal to 7",
        ),
        (
            ("[bands.g]", '[[tap.cuts]]\nwhere = "w"\nreasons = "r"\n[bands.g]'),
            "'tap.cuts.0.reasons'; did you mean 'tap.cuts.0.reason'",
        ),
        (("[columns]", "[columns"), "is not TOML"),
    ],
)
def test_wrong_maps(change: tuple[str, str], text: str, tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(_GOOD.replace(*change))
    with pytest.raises(ConfigError, match=text):
        load_map(str(tmp_path / "mine.toml"))


def test_vega_magnitudes_and_other_units(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(
        _GOOD + 'to_ab = 0.5\n[bands.r]\nflux = "r"\nunit = "nJy"\n[bands.i]\nflux = "i"\nzero_point = 22.5\n'
    )
    g, r, i = load_map(str(tmp_path / "mine.toml")).bands.values()
    assert g.is_magnitude
    assert g.scale == pytest.approx(3631 * 10**-0.2)
    assert r.scale == 1e-9
    assert i.scale == pytest.approx(3631e-9)


def test_maps_that_cannot_be_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    with pytest.raises(MissingInputError, match="one of gaia_dr3, ps1"):
        load_map(str(path))
    path.write_text(_GOOD)
    with pytest.raises(ConfigError, match=r"has no section \[tap\]"):
        tap_of(load_map(str(path)))
    tap = '[tap]\nurl = "u"\ntable = "t; DROP"\nregion = "circle"\nquery_depth = 7\nmax_rows = 10\n'
    path.write_text(_GOOD + tap)
    with pytest.raises(ConfigError, match="cannot be asked for"):
        tap_of(load_map(str(path)))


def test_the_map_of_the_manual(tmp_path: Path) -> None:
    page = Path(__file__).parents[2] / "docs" / "commands" / "refcat.md"
    (tmp_path / "mine.toml").write_text(page.read_text("utf-8").split("```toml\n")[1].split("```")[0])
    found = load_map(str(tmp_path / "mine.toml"))
    assert list(found.bands) == ["r", "i"]
    assert tap_of(found).cuts[0].reason == "the others are ghosts"


def test_cones_and_trixels() -> None:
    assert Cone.parse("-10, 5,0.5") == Cone(350.0, 5.0, 0.5)
    for text in ("10,5", "a,b,c", "10,95,1", "10,5,0", "10,5,nan", "400,5,1", "10,5,40"):
        with pytest.raises(UsageError, match=r"cone is|Cone '"):
            Cone.parse(text)
    assert [depth_of(number) for number in (8, 15, 32, 131072, 262143)] == [0, 0, 1, 7, 7]
    assert children(131072) == descendants(131072, 8)
    assert descendants(131072, 7) == descendants(131072, 3) == [131072]
    assert len(descendants(131072, 9)) == 16
