"""PSFs as archived objects.

Layouts: lsst/afw e0459d59 (src/detection/GaussianPsf.cc), lsst/meas_algorithms b99accf8
(DoubleGaussianPsf, KernelPsf, PcaPsf), lsst/meas_extensions_psfex d2c5893a (src/PsfexPsf.cc). Field order and
types are compared by the reader and must be exact.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..errors import DamagedInputError
from ..fits.archive import ArchiveReader, ArchiveWriter, StoredObject
from ..fits.tables import Column
from ..image.psf import DoubleGaussianPsf, GaussianPsf, KernelPsf, Psf, PsfexPsf
from ..numerics.arrays import FloatArray

__all__ = ["add_psf", "load_psf"]

_GAUSSIANS: dict[str, tuple[Callable[..., Psf], str, dict[str, tuple[str, str]]]] = {
    "GaussianPsf": (GaussianPsf, "lsst.afw.detection", {"sigma": ("pixel", "radius of Gaussian")}),
    "DoubleGaussianPsf": (
        DoubleGaussianPsf,
        "lsst.meas.algorithms",
        {
            "sigma1": ("pixel", "radius of the inner Gaussian"),
            "sigma2": ("pixel", "radius of the outer Gaussian"),
            "b": ("", "central value of the outer Gaussian by that of the inner"),
        },
    ),
}
"""Each class with its module, and unit and documentation of its parameters in the order of the constructor."""


def add_psf(archive: ArchiveWriter, psf: Psf) -> int:
    """Add a PSF to an archive and return its id.

    Raises
    ------
    TypeError
        There is no stored form for this class.
    """
    if isinstance(psf, PsfexPsf):
        return archive.add("PsfexPsf", "lsst.meas.extensions.psfex", _psfex_tables(psf))
    if isinstance(psf, DoubleGaussianPsf):
        _, module, parameters = _GAUSSIANS[type(psf).__name__]
        columns = [
            Column("dimensions_x", "J", [psf.size], "pixel", "width of the PSF image"),
            Column("dimensions_y", "J", [psf.size], "pixel", "height of the PSF image"),
            *[Column(name, "D", [getattr(psf, name)], *about) for name, about in parameters.items()],
        ]
        return archive.add(type(psf).__name__, module, [columns])
    raise TypeError(f"{type(psf).__name__} cannot be stored")


def load_psf(archive: ArchiveReader, object_id: int) -> Psf:
    """Return the PSF that is stored under an id.

    Raises
    ------
    DamagedInputError
        The class is not known here, or its tables have another form.
    """
    stored = archive.get(object_id)
    known = ("KernelPsf", "PcaPsf", "PsfexPsf", *_GAUSSIANS)
    if stored.name not in known:
        raise DamagedInputError(f"PSF class {stored.name!r} is not known; known: {', '.join(sorted(known))}")
    try:
        if stored.name == "PsfexPsf":
            return _psfex(*stored.tables)
        if stored.name in _GAUSSIANS:
            kind, _, parameters = _GAUSSIANS[stored.name]
            table = stored.tables[0]
            return kind(int(table["dimensions_x"][0]), *(float(table[name][0]) for name in parameters))
        return _kernel_psf(archive, stored.tables[0])
    except (IndexError, KeyError, TypeError, ValueError) as error:
        raise DamagedInputError(f"The stored {stored.name} cannot be understood: {error}") from error


def _psfex_tables(psf: PsfexPsf) -> list[list[Column]]:
    n_terms, height, width = psf.components.shape
    position = psf.average_position
    scratch = np.zeros((1, n_terms))
    first = [
        Column("ndim", "J", [2], "", "Number of dimensions (position coordinates) of the polynomial"),
        Column("ngroup", "J", [1], "", "Number of groups of coordinates"),
        Column("ncoeff", "J", [n_terms], "", "Number of polynomial terms"),
        Column("_size_size", "J", [3], "", "Length of the size array"),
        Column("_comp_size", "J", [psf.components.size], "", "Length of the component array"),
        Column("_context_size", "J", [2], "", "Length of the context arrays"),
        Column("averagePosition_x", "D", [position[0]], "pixel", "Mean position of the stars used"),
        Column("averagePosition_y", "D", [position[1]], "pixel", "Mean position of the stars used"),
        Column("_pixstep", "E", [psf.pixstep], "pixel", "Sampling step of the components"),
    ]
    second = [
        Column("group", "2J", [[0, 0]], "", "Group of each coordinate, from 0", "Array"),
        Column("degree", "1J", [psf.degree], "", "Polynomial degree of each group", "Array"),
        Column("basis", f"{n_terms}D", scratch, "", "Values of the polynomial terms (scratch)", "Array"),
        Column("coeff", f"{n_terms}D", scratch, "", "Coefficients (scratch)", "Array"),
        Column("_size", "3J", [[width, height, n_terms]], "", "Width, height and number of components", "Array"),
        Column("_comp", f"{psf.components.size}E", psf.components.reshape(1, -1), "", "Components", "Array"),
        Column("_context_first", "2D", [psf.context_first], "", "Offset of the coordinates", "Array"),
        Column("_context_second", "2D", [psf.context_second], "", "Scale of the coordinates", "Array"),
    ]
    return [first, second]


def _psfex(one: dict[str, Any], two: dict[str, Any]) -> Psf:
    if int(one["ngroup"][0]) != 1 or int(one["ndim"][0]) != 2:
        raise ValueError("only polynomials in x and y are supported")
    width, height, n_terms = (int(n) for n in two["_size"][0])
    return PsfexPsf(
        np.asarray(two["_comp"][0]).reshape(n_terms, height, width),
        float(one["_pixstep"][0]),
        int(np.ravel(two["degree"][0])[0]),
        _pair(two["_context_first"][0]),
        _pair(two["_context_second"][0]),
        (float(one["averagePosition_x"][0]), float(one["averagePosition_y"][0])),
    )


def _kernel_psf(archive: ArchiveReader, table: dict[str, Any]) -> Psf:
    position = float(table["averagePosition_x"][0]), float(table["averagePosition_y"][0])
    kernel = archive.get(int(table["kernel"][0]))
    if kernel.name != "LinearCombinationKernel":
        return KernelPsf(_kernel_image(archive, kernel)[None], [[1.0]], position)
    rows = kernel.tables[0]
    images = [_kernel_image(archive, archive.get(int(k))) for k in np.ravel(rows["components"][0])]
    functions = [archive.get(int(k)) for k in np.ravel(rows["spatialfunctions"][0])]
    if any(function.name != "PolynomialFunction2D" for function in functions):
        raise ValueError("its weights are not polynomials")
    polynomials = [np.ravel(function.tables[0]["coefficients"][0]).tolist() for function in functions]
    return KernelPsf(np.stack(images), polynomials, position)


def _kernel_image(archive: ArchiveReader, kernel: StoredObject) -> FloatArray:
    table = kernel.tables[0]
    shape = int(table["dimensions_y"][0]), int(table["dimensions_x"][0])
    if kernel.name == "FixedKernel":
        return np.asarray(table["image"][0], dtype=np.float64).reshape(shape)
    if kernel.name != "AnalyticKernel":
        raise ValueError(f"kernel class {kernel.name!r} is not known")
    function = archive.get(int(table["kernelfunction"][0]))
    if function.name != "GaussianFunction2D":
        raise ValueError(f"kernel function {function.name!r} is not known")
    terms = {name: float(values[0]) for name, values in function.tables[0].items()}
    y, x = np.mgrid[: shape[0], : shape[1]].astype(np.float64)
    x, y = x - float(table["center_x"][0]), y - float(table["center_y"][0])
    cos, sin = np.cos(terms["angle"]), np.sin(terms["angle"])
    along, across = cos * x + sin * y, cos * y - sin * x
    image = np.exp(-0.5 * ((along / terms["sigma1"]) ** 2 + (across / terms["sigma2"]) ** 2))
    return np.asarray(image / image.sum())


def _pair(values: Any) -> tuple[float, float]:
    x, y = values
    return float(x), float(y)
