"""What damaged products do to those who read them, and how it is told."""

from __future__ import annotations

from astropy.io import fits

from ..errors import HscboxError

__all__ = ["DAMAGE", "said"]

# What damaged products do to their readers: columns, cards or HDUs are not there (LookupError) or are None
# (AttributeError), have another type, shape or text (TypeError, ValueError) or numbers nothing can be computed from
# (ArithmeticError); the file ends early or breaks the standard (OSError, EOFError, VerifyError).
DAMAGE = (
    HscboxError,
    LookupError,
    AttributeError,
    TypeError,
    ValueError,
    ArithmeticError,
    OSError,
    EOFError,
    fits.VerifyError,
)


def said(error: BaseException) -> str:
    """Return what is wrong with a product that gave an error; a bare KeyError says nothing but a name."""
    return str(error) if isinstance(error, HscboxError) else f"{type(error).__name__}: {error}"
