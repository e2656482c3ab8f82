"""PSF models."""

from __future__ import annotations

from .psf_base import Psf
from .psf_gaussian import DoubleGaussianPsf, GaussianPsf
from .psf_kernel import KernelPsf
from .psf_psfex import PsfexPsf, polynomial_basis

__all__ = ["DoubleGaussianPsf", "GaussianPsf", "KernelPsf", "Psf", "PsfexPsf", "polynomial_basis"]
