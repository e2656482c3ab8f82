"""Every error a user can meet, with its stable code and exit status.

Which class to raise:

* the command line or configuration asks for something impossible: `UsageError`, `ConfigError`, `OutputError`;
* an input is missing, damaged, unsafe or unknown: a subclass of `InputError`;
* the inputs are fine but the pixels defeat the algorithm, so that trying again is pointless: a subclass of
  `DataError`;
* the machine was in the way and another try may succeed: `TemporaryError`.

Message order: what was wrong, the value, what is allowed; then the remedy as a sentence of its own.
"""

from __future__ import annotations

import re
from enum import IntEnum
from typing import ClassVar

__all__ = [
    "ApCorrError",
    "AstrometryError",
    "BackgroundError",
    "CalibNotFoundError",
    "ConfigError",
    "DamagedInputError",
    "DataError",
    "ExitStatus",
    "FocusCcdError",
    "GoldenMismatchError",
    "HscboxError",
    "InputError",
    "MagnitudeCutError",
    "MatchesRejectedError",
    "MissingInputError",
    "NoMatchError",
    "NoPhotometryMatchError",
    "NoPsfStarsError",
    "NoSourcesError",
    "NotMountedError",
    "OutputError",
    "PhotometryError",
    "PsfFitError",
    "RegistryError",
    "SaturatedFrameError",
    "TemporaryError",
    "TooFewPsfCandidatesError",
    "TooManyCosmicRaysError",
    "UnknownDataIdError",
    "UnsafeInputError",
    "UsageError",
    "WcsGateError",
    "ZeroPointGateError",
    "error_class",
]


class ExitStatus(IntEnum):
    """Exit statuses of every hscbox command."""

    OK = 0
    UNEXPECTED = 1
    USAGE = 2
    GOLDEN_MISMATCH = 3
    INPUT = 4
    DATA = 20
    TEMPORARY = 75
    INTERRUPTED = 130


class HscboxError(Exception):
    """Base of all errors with a message meant for users.

    Parameters
    ----------
    message
        What was wrong, the value, and what is allowed, in one line.
    remedy
        What to do next; empty if there is nothing sensible to say.
    numbers
        The numbers of the message, for programs.
    """

    code: ClassVar[str] = "unexpected"
    """Stable name for programs: that of the class, without "Error", unless a class says otherwise."""
    exit_status: ClassVar[ExitStatus] = ExitStatus.UNEXPECTED

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if "code" not in cls.__dict__:
            cls.code = "-".join(re.findall("[A-Z][a-z]+", cls.__name__.removesuffix("Error"))).lower()

    def __init__(self, message: str, *, remedy: str = "", **numbers: object) -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy
        self.numbers = numbers

    def __str__(self) -> str:
        return f"{self.message}. {self.remedy}" if self.remedy else self.message

    def __reduce__(self) -> tuple[object, ...]:
        # Errors travel back from worker processes, keyword-only arguments included.
        return _rebuild, (type(self), self.message, self.remedy, self.numbers)


def error_class(code: str, base: type[HscboxError] = HscboxError) -> type[HscboxError] | None:
    """Return the class of errors that has this code; None if there is none."""
    for kind in base.__subclasses__():
        found = kind if kind.code == code else error_class(code, kind)
        if found is not None:
            return found
    return None


def _rebuild(cls: type[HscboxError], message: str, remedy: str, numbers: dict[str, object]) -> HscboxError:
    return cls(message, remedy=remedy, **numbers)


class UsageError(HscboxError):
    """The command line makes no sense."""

    exit_status = ExitStatus.USAGE


class ConfigError(UsageError):
    """A configuration value is unknown, ill-typed or contradicts another, or differs from the output's record."""


class OutputError(UsageError):
    """The output cannot be written."""


class GoldenMismatchError(HscboxError):
    """A check against recorded or true values failed."""

    exit_status = ExitStatus.GOLDEN_MISMATCH


class InputError(HscboxError):
    """An input is missing or damaged."""

    exit_status = ExitStatus.INPUT


class MissingInputError(InputError):
    """A file or directory that is needed is not there."""


class NotMountedError(MissingInputError):
    """A link leads to a place that is not mounted, or not bound into the container."""


class DamagedInputError(InputError):
    """A file is truncated, has wrong checksums or cannot be understood."""


class UnsafeInputError(InputError):
    """A file tries to execute code or to leave the repository."""


class UnknownDataIdError(InputError):
    """No registered exposure has this data id."""


class CalibNotFoundError(InputError):
    """No calibration is valid for the exposure, or several are."""


class RegistryError(InputError):
    """The registry cannot be read as an SQLite database with the expected tables."""


class DataError(HscboxError):
    """The data defeat the algorithm; a retry will not help."""

    exit_status = ExitStatus.DATA


class FocusCcdError(DataError):
    """Focus CCDs (104 to 111) cannot be processed."""


class SaturatedFrameError(DataError):
    """No unsaturated pixel is left."""


class BackgroundError(DataError):
    """The sky background cannot be fitted."""


class TooManyCosmicRaysError(DataError):
    """More pixels look like cosmic rays than allowed."""


class NoSourcesError(DataError):
    """Nothing was detected."""


class NoPsfStarsError(DataError):
    """No star is usable for the PSF."""


class TooFewPsfCandidatesError(NoPsfStarsError):
    """There are PSF candidates, but too few with usable pixels for a model."""


class PsfFitError(DataError):
    """The PSF model cannot be determined or fails its quality gate."""


class ApCorrError(DataError):
    """An aperture correction that is required cannot be measured."""

    code = "aperture-correction"


class AstrometryError(DataError):
    """Sources cannot be matched to the reference catalogue or the fit fails its quality gate."""


class NoMatchError(AstrometryError):
    """Unable to match sources: no pattern of them is found among the references, or none can be used."""

    code = "unable-to-match"


class MatchesRejectedError(AstrometryError):
    """All matches are rejected: too few are left for the WCS."""


class WcsGateError(AstrometryError):
    """The WCS is fitted, but its scatter or its corners are implausible."""


class PhotometryError(DataError):
    """The zero point cannot be determined or fails its quality gate."""


class NoPhotometryMatchError(PhotometryError):
    """No input matches: none is there, or flags and other cuts leave none."""

    code = "no-input-matches"


class MagnitudeCutError(PhotometryError):
    """The match list is empty after the magnitude cut."""

    code = "empty-after-magnitude-cut"


class ZeroPointGateError(PhotometryError):
    """The zero point is fitted, but its scatter or its value is implausible."""


class TemporaryError(HscboxError):
    """The machine was in the way (full disk, locked registry, dead worker); retry elsewhere."""

    exit_status = ExitStatus.TEMPORARY
