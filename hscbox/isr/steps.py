"""The steps of the instrument signature removal in their order. A new one is one file, and one entry here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, Literal

from ..camera.crosstalk import crosstalk_matrix
from ..camera.vignette import vignette_polygon
from ..image.thumbnail import make_thumbnail
from .bad_regions import fill_all_bad_regions, fill_dead_amplifiers
from .bias import subtract_bias
from .brighter_fatter import correct_brighter_fatter
from .config import IsrConfig
from .crosstalk import subtract_crosstalk
from .dark import subtract_dark
from .defects import interpolate_defects
from .flat import divide_by_flat
from .frame import Frame
from .fringe import remove_fringes
from .inputs import IsrInputs
from .linearity import is_nonlinear, linearize
from .nans import repair_nans
from .overscan import record_overscan, subtract_overscan
from .raw_levels import mask_saturated, mask_suspect
from .rough_zero_point import set_rough_zero_point
from .saturation import interpolate_saturated, widen_trails
from .silent_amplifiers import find_silent_amplifiers
from .sky_level import record_sky_level
from .valid_polygon import attach_valid_polygon
from .variance import set_variance

__all__ = ["STEPS", "Step", "needed"]


@dataclass(frozen=True)
class Step:
    """One step: its switch, what it needs, what it does and what is recorded of it."""

    name: str
    apply: Callable[[Frame], object]
    """Changes the frame in place."""
    switch: str = ""
    """Field of `IsrConfig` that asks for it; without one it is always done."""
    when: Callable[[IsrConfig, IsrInputs], bool] = lambda config, inputs: True
    """A further condition."""
    needs: tuple[str, ...] = ()
    """Masters, by kind, and other fields of `IsrInputs` without which it is refused."""
    card: tuple[str, str] = ("", "")
    """Letters and comment for the header: BIAS makes ISR_BIAS, whether it was done; BIASNAM and BIASSHA of a master."""
    table: tuple[str, str, Callable[[IsrInputs], Any]] | None = None
    """Numbers of the camera that it uses: letters for the header, name of the file, and how to get them."""
    says: str = ""
    """Line of the log when it begins."""
    logger: str = ""
    """Last word in the name of its logger, if that is not the one of the task."""
    plane: Literal["image", "variance", "none"] = "image"
    """Where `hscbox show --compare` shows it; "none" for what leaves pixels and mask alone."""

    def wanted(self, config: IsrConfig, inputs: IsrInputs) -> bool:
        """Say whether it is to be done with a frame."""
        return (not self.switch or bool(attrgetter(self.switch)(config))) and self.when(config, inputs)


def _amplifiers(letters: str, *names: str) -> tuple[str, str, Callable[[IsrInputs], Any]]:
    """Return the table of the amplifiers of a detector with these columns."""
    return letters, "amplifiers.ecsv", lambda inputs: [attrgetter(*names)(amp) for amp in inputs.detector.amplifiers]


def _thumbnail(dataset: str) -> Callable[[Frame], object]:
    return lambda f: f.thumbnails.update({dataset: make_thumbnail(f.exposure.image, f.exposure.mask)})


STEPS: tuple[Step, ...] = (
    # what happened between the amplifiers and the file
    Step("OverscanLevels", record_overscan, plane="none"),
    Step("Overscan", subtract_overscan, "doOverscan", card=("OSCN", "overscan subtracted")),
    Step("Suspect", mask_suspect, "doSuspect", card=("SUSP", "suspect pixels masked")),
    Step("SaturationMask", mask_saturated, "doSaturation"),
    Step(
        "RawLevels",
        lambda _: None,  # to record the levels if either was used
        when=lambda config, _: config.doSaturation or config.doSuspect,
        table=_amplifiers("SAT", "saturation", "suspect"),
        plane="none",
    ),
    Step("ThumbnailOss", _thumbnail("ossThumb"), "qa.doThumbnailOss", plane="none"),
    Step(
        "Bias",
        lambda f: subtract_bias(f.exposure, f.inputs.masters["bias"]),
        "doBias",
        needs=("bias",),
        card=("BIAS", "bias subtracted"),
    ),
    Step("SilentAmplifiers", find_silent_amplifiers),
    Step(
        "Variance",
        lambda f: set_variance(f.exposure, f.detector),
        "doVariance",
        card=("VAR", "variance from gain and read noise"),
        table=_amplifiers("VAR", "gain", "read_noise"),
        plane="variance",
    ),
    Step(
        "Linearize",
        lambda f: linearize(f.exposure, f.detector),
        "doLinearize",
        when=lambda _, inputs: is_nonlinear(inputs.detector),
        card=("LIN", "non-linearity corrected"),
        table=_amplifiers("LIN", "linearity_c0"),
    ),
    Step(
        "Crosstalk",
        lambda f: subtract_crosstalk(f.exposure, f.detector, crosstalk_matrix(), f.config.crosstalk.minPixelToMask),
        "doCrosstalk",
        card=("XTLK", "crosstalk subtracted"),
        table=("XTLK", "crosstalk.ecsv", lambda _: crosstalk_matrix()),
        says="Applying crosstalk correction",
        logger="crosstalk",
    ),
    Step(
        "BrighterFatter",
        correct_brighter_fatter,
        "doBrighterFatter",
        needs=("bf_kernel",),
        card=("BF", "brighter-fatter effect corrected"),
        table=("BFK", "brighter_fatter_kernel", lambda inputs: inputs.bf_kernel),
        says="Applying brighter fatter correction",
    ),
    # what the charge is made of: dark current, and light times response
    Step(
        "Dark",
        lambda f: subtract_dark(f.exposure, f.inputs.masters["dark"], f.inputs.dark_time),
        "doDark",
        needs=("visit_info", "dark"),
        card=("DARK", "dark current subtracted"),
    ),
    Step(
        "Flat",
        lambda f: divide_by_flat(f.exposure, f.inputs.masters["flat"]),
        "doFlat",
        needs=("flat",),
        card=("FLAT", "divided by the flat"),
    ),
    # what cannot be trusted is replaced; fringes are measured before pixels without any information are filled
    Step("DeadAmplifiers", fill_dead_amplifiers, "doSetBadRegions"),
    Step(
        "Defect",
        lambda f: interpolate_defects(f.exposure, f.inputs.defects, f.detector),
        "doDefect",
        needs=("defects",),
        card=("DEF", "defects masked and interpolated"),
        table=("DEF", "defects.ecsv", lambda inputs: [tuple(box) for box in inputs.defects]),
    ),
    Step(
        "WidenSaturationTrails",
        lambda f: widen_trails(f.exposure.mask),
        "doWidenSaturationTrails",
        card=("TRL", "bleed trails widened"),
    ),
    Step(
        "Saturation",
        lambda f: interpolate_saturated(f.exposure, f.config.growSaturationFootprintSize),
        "doSaturation",
        card=("SAT", "saturated pixels masked and interpolated"),
    ),
    Step(
        "Fringe",
        remove_fringes,
        "doFringe",
        when=lambda config, inputs: inputs.filter_name in config.fringe.filters,
        needs=("fringe",),
        card=("FRNG", "fringes subtracted"),
        logger="fringe",
    ),
    Step("SetBadRegions", fill_all_bad_regions, "doSetBadRegions"),
    Step("NaN", repair_nans),
    # what is measured and attached
    Step("ThumbnailFlattened", _thumbnail("flattenedThumb"), "qa.doThumbnailFlattened", plane="none"),
    Step("SkyLevel", record_sky_level, plane="none"),
    Step("RoughZeroPoint", set_rough_zero_point, plane="none"),
    Step(
        "VignettePolygon",
        attach_valid_polygon,
        "doWriteVignettePolygon",
        table=("POLY", "vignette.ecsv", lambda _: vignette_polygon()),
        plane="none",
    ),
)


def needed(config: IsrConfig, inputs: IsrInputs) -> list[str]:
    """Return the masters and other inputs that the steps to be done with a frame need, in the order of the steps."""
    return [name for step in STEPS if step.wanted(config, inputs) for name in step.needs]
