from __future__ import annotations

import hscbox.errors
from hscbox.errors import ExitStatus, HscboxError

# Programs of users know these: a code changes only when that is meant.
CODES = {
    "unexpected": 1,
    "usage": 2, "config": 2, "output": 2,
    "golden-mismatch": 3,
    "input": 4, "missing-input": 4, "not-mounted": 4, "damaged-input": 4, "unsafe-input": 4, "unknown-data-id": 4,
    "calib-not-found": 4, "registry": 4,
    "data": 20, "focus-ccd": 20, "saturated-frame": 20, "background": 20, "too-many-cosmic-rays": 20,
    "no-sources": 20, "no-psf-stars": 20, "too-few-psf-candidates": 20, "psf-fit": 20, "aperture-correction": 20,
    "astrometry": 20, "unable-to-match": 20, "matches-rejected": 20, "wcs-gate": 20,
    "photometry": 20, "no-input-matches": 20, "empty-after-magnitude-cut": 20, "zero-point-gate": 20,
    "temporary": 75,
}  # fmt: skip


def test_codes_and_exit_statuses_are_the_published_ones() -> None:
    kinds = [getattr(hscbox.errors, name) for name in hscbox.errors.__all__]
    errors = [kind for kind in kinds if isinstance(kind, type) and issubclass(kind, HscboxError)]
    assert {kind.code: kind.exit_status for kind in errors} == CODES
    assert len(errors) == len(CODES)


def test_a_new_error_has_the_code_of_its_name() -> None:
    class ScatteredLightError(hscbox.errors.DataError):
        """Made up."""

    assert (ScatteredLightError.code, ScatteredLightError.exit_status) == ("scattered-light", ExitStatus.DATA)
