from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from astropy.table import Table
from tap_server import CONE, TapTable, serving

from hscbox.refcat.column_map import ColumnMap, load_map
from hscbox.refcat.fetch import FetchRequest


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")


@pytest.fixture
def gaia() -> ColumnMap:
    return load_map("gaia_dr3")


@pytest.fixture(scope="session")
def gaia_table() -> Table:
    """Return 1500 objects on both sides of RA 0, with gaps as Gaia has them."""
    rng = np.random.Generator(np.random.PCG64(20220613))
    size = 1500
    table = Table()
    table["source_id"] = 2**60 + rng.permutation(size).astype(np.int64)
    table["ra"] = rng.uniform(-1.3, 1.4, size) % 360.0
    table["dec"] = rng.uniform(-6.5, -3.9, size)
    for band in ("g", "bp", "rp"):
        table[f"phot_{band}_mean_flux"] = 10.0 ** rng.uniform(2.0, 6.0, size)
        table[f"phot_{band}_mean_flux_error"] = table[f"phot_{band}_mean_flux"] * rng.uniform(1e-3, 1e-2, size)
    table["phot_bp_mean_flux"][::17] = np.nan
    table["phot_bp_mean_flux_error"][::17] = np.nan
    for name, width in (("ra_error", 0.1), ("dec_error", 0.1), ("pmra_error", 0.2), ("pmdec_error", 0.2)):
        table[name] = rng.uniform(0.01, width, size)
    table["pmra"], table["pmdec"] = rng.normal(0.0, 8.0, size), rng.normal(-3.0, 8.0, size)
    table["phot_variable_flag"] = np.where(rng.random(size) < 0.1, "VARIABLE", "NOT_AVAILABLE")
    return table


@pytest.fixture
def knows(gaia_table: Table) -> TapTable:
    return TapTable(gaia_table)


@pytest.fixture
def service(knows: TapTable) -> Iterator[str]:
    with serving(knows) as url:
        yield url


@pytest.fixture
def wanted(gaia: ColumnMap, service: str, tmp_path: Path) -> FetchRequest:
    return FetchRequest(tmp_path / "ref_cats", "gaia", gaia, (CONE,), service)
