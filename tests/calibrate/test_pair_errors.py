"""Errors of the positions of a pair, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from hscbox.calibrate.matcher import Match
from hscbox.calibrate.position_errors import pair_errors
from hscbox.calibrate.ref_objects import ReferenceRegion
from hscbox.catalog.source_catalog import SourceCatalog, make_minimal_schema
from hscbox.products.reference_shards import make_reference_catalog

_FLOOR = 0.006


def _sources() -> SourceCatalog:
    """Shapes of 3 and 5 px^2, 4 in the mean: sigma is 2 px. Signal to noise 50, 200, none, unknown."""
    schema = make_minimal_schema()
    for name in ("s_xx", "s_yy", "p_flux", "p_fluxSigma"):
        schema.add_field(name, "D")
    schema.set_alias("slot_Shape", "s")
    schema.set_alias("slot_PsfFlux", "p")
    sources = SourceCatalog(schema, 4)
    sources["s_xx"], sources["s_yy"] = 3.0, 5.0
    sources["p_flux"] = [5000.0, 20000.0, 0.0, np.nan]
    sources["p_fluxSigma"] = 100.0
    return sources


def _region(relative: dict[str, float]) -> ReferenceRegion:
    flux = np.full(4, 1e-4)
    catalog = make_reference_catalog(
        np.arange(4),
        np.full(4, 34.0),
        np.full(4, -5.0),
        dict.fromkeys(relative, flux),
        {band: flux * error for band, error in relative.items()},
    )
    return ReferenceRegion(catalog, f"{next(iter(relative))}_flux", 34.0, -5.0, 0.2, "r")


def test_source_and_reference_in_quadrature() -> None:
    match = Match(np.array([0, 1, 2, 3]), np.array([3, 2, 1, 0]))
    error = pair_errors(_sources(), _region({"r": 0.02, "i": 0.01}), match)
    # 0.47 arcsec of seeing over a signal to noise of 100 in the better band, and the floor.
    reference = np.hypot(0.0047, _FLOOR)
    # A pixel is 0.168 arcsec to a per cent; the error of a centroid is sigma over the signal to noise.
    assert error[:2] == pytest.approx(
        [np.hypot(0.168 * 2 / 50, reference), np.hypot(0.168 * 2 / 200, reference)], rel=0.01
    )
    # Without a flux: one pixel.
    assert error[2:] == pytest.approx(np.hypot(0.168, reference), rel=0.01)
