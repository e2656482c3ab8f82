"""Raw headers for tests: two real ones (comments re-worded) and a model."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from astropy.io import fits

DATA = Path(__file__).parent / "data"
NAMES = {
    "2015": "raw-2015-HSCA04090107.txt",
    "2013": "raw-2013-HSCA90402512.txt",
    "model": "raw-model-HSCA04098410.txt",
}


@pytest.fixture
def fits_header() -> Callable[[str], fits.Header]:
    return lambda name: fits.Header.fromtextfile(DATA / NAMES[name])


@pytest.fixture
def raw_header(fits_header: Callable[[str], fits.Header]) -> Callable[..., dict[str, object]]:
    """Return a header as a dictionary, with changes; a value of None removes the keyword."""

    def make(name: str, changes: dict[str, object] | None = None) -> dict[str, object]:
        header: dict[str, object] = {
            card.keyword: card.value for card in fits_header(name).cards if card.keyword != "COMMENT"
        }
        for keyword, value in (changes or {}).items():
            header.pop(keyword, None)
            if value is not None:
                header[keyword] = value
        return header

    return make
