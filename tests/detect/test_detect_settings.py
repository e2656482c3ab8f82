"""Defaults and limits of what can be set in this room; where 2017 had others, docs/differences.md says so."""

from __future__ import annotations

from settings import numbers

from hscbox.detect.background import BackgroundConfig
from hscbox.detect.deblend import SourceDeblendConfig
from hscbox.detect.detection import SourceDetectionConfig
from hscbox.detect.repair import CosmicRayConfig


def test_numbers_of_the_configuration() -> None:
    assert numbers(CosmicRayConfig) == {
        "minSigma": (6.0, 0.0, None),
        "min_DN": (150.0, 0.0, None),
        "cond3_fac": (2.5, 0.0, None),
        "cond3_fac2": (0.4, 0.0, None),
        "niteration": (3, 0, None),
        "trackFactor": (0.8, 0.0, 1.0),
        "nCrPixelMax": (1_000_000, 1, None),
    }
    assert numbers(SourceDeblendConfig) == {
        "psfChisq1": (1.5, 0.0, None),
        "psfChisq2": (1.5, 0.0, None),
        "psfChisq2b": (1.5, 0.0, None),
        "maxNumberOfPeaks": (0, 0, None),
        "maxFootprintArea": (10000, 0, None),
        "maxFootprintSize": (0, 0, None),
        "tinyFootprintSize": (2, 0, None),
        "minPeakSignificance": (4.0, 0.0, None),
    }
    own = {name: value for name, value in numbers(SourceDetectionConfig).items() if "." not in name}
    assert own == {
        "thresholdValue": (5.0, 0.0, None),
        "includeThresholdMultiplier": (1.0, 1.0, None),
        "minPixels": (1, 1, None),
        "nSigmaToGrow": (2.4, 0.0, None),
        "shoulderSignificance": (4.0, 0.0, None),
    }
    assert numbers(BackgroundConfig) == {
        "binSize": (128, 1, None),
        "binSizeX": (0, 0, None),
        "binSizeY": (0, 0, None),
        "approxOrderX": (6, 0, None),
        "wingStrength": (0.85, 0.0, None),
        "wingLimit": (0.025, 0.0, None),
        "cellRejection": (3.0, 0.0, None),
    }
