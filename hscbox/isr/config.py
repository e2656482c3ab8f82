"""Configuration of the instrument signature removal; names and defaults are those of the 2017 HSC overrides."""

from __future__ import annotations

import lsst.pex.config as pex

__all__ = ["CrosstalkConfig", "FlatnessConfig", "FringeConfig", "FringeStatisticsConfig", "IsrConfig", "QaConfig"]


class FringeStatisticsConfig(pex.Config):
    """How the level of a box is measured."""

    badMaskPlanes = pex.ListField(
        dtype=str, default=["SAT", "NO_DATA", "BAD"], doc="Mask planes whose pixels are ignored in the medians."
    )


class FringeConfig(pex.Config):
    """Scaling of the fringe frame."""

    filters = pex.ListField(
        dtype=str,
        default=["y", "N921", "N926", "N973", "N1010"],
        doc="Canonical names of the filters that show fringes.",
    )
    num = pex.RangeField(
        dtype=int, default=30000, min=1, doc="Number of random positions; more give a more exact scale."
    )
    small = pex.RangeField(dtype=int, default=3, min=1, doc="Half size of the box of the fringe level, pixels.")
    large = pex.RangeField(dtype=int, default=30, min=1, doc="Half size of the box of the background level, pixels.")
    iterations = pex.Field(dtype=int, default=20, doc="Largest number of fits with rejection of outliers.")
    clip = pex.Field(dtype=float, default=3.0, doc="Rejection threshold of the fit, standard deviations.")
    pedestal = pex.Field(dtype=bool, default=False, doc="Fit a constant together with the scale?")
    stats = pex.ConfigField(dtype=FringeStatisticsConfig, doc="Statistics of the boxes.")

    def validate(self) -> None:
        """Refuse boxes of which the small one is not the smaller.

        Raises
        ------
        lsst.pex.config.FieldValidationError
            `small` is not below `large`, or a field is out of its range.
        """
        super().validate()
        if self.small >= self.large:
            raise pex.FieldValidationError(
                type(self).small, self, f"small = {self.small} must be below large = {self.large}"
            )


class CrosstalkConfig(pex.Config):
    """Crosstalk between the amplifiers of a CCD."""

    minPixelToMask = pex.Field(
        dtype=float, default=45000.0, doc="Pixels at or above this level [ADU] flag their ghosts as CROSSTALK."
    )


class FlatnessConfig(pex.Config):
    """Mesh of the sky flatness measurement."""

    meshX = pex.RangeField(dtype=int, default=256, min=1, doc="Width of a mesh cell, pixels.")
    meshY = pex.RangeField(dtype=int, default=256, min=1, doc="Height of a mesh cell, pixels.")
    clipSigma = pex.Field(dtype=float, default=3.0, doc="Clipping threshold of the sky level, standard deviations.")
    nIter = pex.Field(dtype=int, default=3, doc="Clipping iterations of the sky level.")


class QaConfig(pex.Config):
    """By-products for a look at the data."""

    doThumbnailOss = pex.Field(dtype=bool, default=True, doc="Make the thumbnail after overscan subtraction?")
    doThumbnailFlattened = pex.Field(dtype=bool, default=True, doc="Make the thumbnail of the flattened image?")
    flatness = pex.ConfigField(dtype=FlatnessConfig, doc="Sky level and flatness.")


class IsrConfig(pex.Config):
    """All switches of the instrument signature removal."""

    doSaturation = pex.Field(dtype=bool, default=True, doc="Mask (SAT) and interpolate saturated pixels?")
    doSuspect = pex.Field(dtype=bool, default=True, doc="Mask (SUSPECT) pixels above the level of good linearity?")
    doOverscan = pex.Field(dtype=bool, default=True, doc="Subtract the serial overscan?")
    doBias = pex.Field(dtype=bool, default=True, doc="Subtract the bias frame?")
    doVariance = pex.Field(dtype=bool, default=True, doc="Compute the variance from gain and read noise?")
    doLinearize = pex.Field(dtype=bool, default=True, doc="Correct the non-linearity?")
    doCrosstalk = pex.Field(dtype=bool, default=True, doc="Correct the crosstalk between amplifiers?")
    doBrighterFatter = pex.Field(dtype=bool, default=True, doc="Apply the brighter-fatter correction?")
    doDark = pex.Field(dtype=bool, default=True, doc="Subtract the dark frame times the dark time?")
    doFlat = pex.Field(dtype=bool, default=True, doc="Divide by the flat?")
    doDefect = pex.Field(dtype=bool, default=True, doc="Mask (BAD) and interpolate the known defects?")
    doWidenSaturationTrails = pex.Field(dtype=bool, default=True, doc="Widen wide saturated runs?")
    doFringe = pex.Field(dtype=bool, default=True, doc="Subtract fringes in the filters that show them?")
    doSetBadRegions = pex.Field(dtype=bool, default=True, doc="Fill BAD pixels that nothing interpolated?")
    doWriteVignettePolygon = pex.Field(dtype=bool, default=True, doc="Attach the polygon that light reaches?")
    doWrite = pex.Field(dtype=bool, default=False, doc="Write the corrected exposure as postISRCCD?")

    overscanFitType = pex.ChoiceField(
        dtype=str,
        default="AKIMA_SPLINE",
        doc="How the overscan is smoothed along the columns.",
        allowed={
            "MEAN": "mean of the whole overscan",
            "MEDIAN": "median of the whole overscan",
            "MEANCLIP": "clipped mean of the whole overscan",
            "POLY": "polynomial, least squares",
            "CHEB": "the same polynomial",
            "LEG": "the same polynomial",
            "NATURAL_SPLINE": "natural cubic spline through bins",
            "CUBIC_SPLINE": "cubic spline through bins",
            "AKIMA_SPLINE": "Akima spline through bins",
        },
    )
    overscanOrder = pex.RangeField(
        dtype=int, default=30, min=0, doc="Number of bins of a spline, degree of a polynomial."
    )
    overscanRej = pex.Field(
        dtype=float, default=3.0, doc="Rejection threshold within an overscan row, standard deviations."
    )
    overscanMaxDev = pex.Field(
        dtype=float, default=1000.0, doc="Overscan pixels farther than this from the median [ADU] are ignored."
    )

    crosstalk = pex.ConfigField(dtype=CrosstalkConfig, doc="Crosstalk.")
    brighterFatterMaxIter = pex.RangeField(
        dtype=int, default=10, min=1, doc="Largest number of iterations of the brighter-fatter correction."
    )
    brighterFatterThreshold = pex.Field(
        dtype=float,
        default=1000.0,
        doc="The brighter-fatter iteration stops when the summed absolute change [electrons] is below this.",
    )
    brighterFatterApplyGain = pex.Field(
        dtype=bool, default=True, doc="Convert to electrons for the brighter-fatter correction?"
    )
    brighterFatterConserveCharge = pex.Field(
        dtype=bool,
        default=True,
        doc="Fluxes through pixel faces, which conserve charge? Otherwise central differences as in the original.",
    )
    growSaturationFootprintSize = pex.RangeField(
        dtype=int, default=1, min=0, doc="Pixels by which saturated regions are grown before interpolation."
    )
    badStatistic = pex.ChoiceField(
        dtype=str,
        default="MEANCLIP",
        doc="Statistic of the good pixels that fills BAD regions.",
        allowed={"MEANCLIP": "clipped mean", "MEDIAN": "median"},
    )
    fringe = pex.ConfigField(dtype=FringeConfig, doc="Fringe correction.")
    qa = pex.ConfigField(dtype=QaConfig, doc="By-products.")
