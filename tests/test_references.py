"""Two reference catalogues: positions from one, magnitudes from the other."""

from __future__ import annotations

import json

import numpy as np
from astropy.io import fits
from played import Guide, run

from hscbox.products.catalog import read_catalog
from hscbox.products.reference_shards import make_reference_catalog, write_shards

_MAS = np.radians(1 / 3.6e6)


def test_positions_and_magnitudes_from_different_catalogues(guide: Guide, fresh_input, tmp_path):
    """A catalogue in another band, shifted by 50 mas to the North, moves the WCS and leaves the zero point alone."""
    references = tmp_path / "ref_cats"
    references.mkdir()
    ps1 = guide.root / "sim/ref_cats/ps1_pv3_3pi_20170110"
    (references / ps1.name).symlink_to(ps1)
    shards = [read_catalog(path) for path in sorted(ps1.glob("[0-9]*.fits"))]
    names = ("id", "coord_ra", "coord_dec", "r_flux")
    stars = {name: np.concatenate([shard[name] for shard in shards]) for name in names}
    shifted = make_reference_catalog(
        stars["id"],
        np.degrees(stars["coord_ra"]),
        np.degrees(stars["coord_dec"] + 50 * _MAS),
        {"phot_g_mean": stars["r_flux"]},
        {"phot_g_mean": 0.01 * stars["r_flux"]},
    )
    write_shards(references, "gaia", shifted)
    (fresh_input / "ref_cats").unlink()
    (fresh_input / "ref_cats").symlink_to(references)

    run(
        "hscbox", "process-ccd", fresh_input, "--output", tmp_path / "output", "--id", "visit=40984", "ccd=55",
        "-c", "calibrate.astromRefObjLoader.ref_dataset_name=gaia",
        "calibrate.astromRefObjLoader.defaultFilter=phot_g_mean",
    )  # fmt: skip
    plain = fits.getdata(guide.output / "01378/HSC-R/output/SRC-0040984-055.fits")
    moved = fits.getdata(tmp_path / "output/01378/HSC-R/output/SRC-0040984-055.fits")
    np.testing.assert_array_equal(plain["id"], moved["id"])
    north = (moved["coord_dec"] - plain["coord_dec"]) / _MAS
    # The fits weigh the stars by their errors, which differ between the catalogues.
    assert abs(np.nanmedian(north) - 50) < 5

    zero_points = [
        fits.getheader(output / "01378/HSC-R/corr/CORR-0040984-055.fits")["FLUXMAG0"]
        for output in (guide.output, tmp_path / "output")
    ]
    assert abs(2.5 * np.log10(zero_points[1] / zero_points[0])) < 0.002
    records = json.loads(run("hscbox", "provenance", tmp_path / "output").stdout)
    read = {name for record in records for name in record["inputs"]}
    assert {name.split(":")[1] for name in read if name.startswith("ref_cat:")} == {"gaia", ps1.name}
