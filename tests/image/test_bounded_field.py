from __future__ import annotations

import numpy as np
import pytest
from numpy.polynomial import chebyshev

from hscbox.image.bounded_field import ChebyshevField

BOX = (10, 20, 109, 319)


def test_values_are_those_of_numpy_polynomial() -> None:
    coefficients = np.array([[1.0, 0.5, -0.25], [0.3, 0.2, 0.0]])
    field = ChebyshevField(coefficients, BOX)
    x, y = np.array([9.5, 59.5, 77.0]), np.array([19.5, 169.5, 300.0])
    u, v = (x - 59.5) / 50, (y - 169.5) / 150
    assert np.allclose(field.evaluate(x, y), chebyshev.chebval2d(u, v, coefficients.T), rtol=1e-14)
    # At the lower corner every T_n is (-1)^n.
    assert field.evaluate(9.5, 19.5) == pytest.approx(1.0 - 0.5 - 0.25 - 0.3 + 0.2)


def test_grid_evaluation_broadcasts() -> None:
    field = ChebyshevField(np.array([[1.0, 2.0], [3.0, 4.0]]), BOX)
    grid = field.evaluate(np.arange(10, 20)[None, :], np.arange(20, 25)[:, None])
    assert grid.shape == (5, 10)
    assert grid[3, 7] == field.evaluate(17, 23)


def test_fit_recovers_a_triangular_field() -> None:
    rng = np.random.default_rng(1)
    truth = ChebyshevField(np.array([[1.0, 0.1, 0.03], [-0.2, 0.05, 0.0], [0.01, 0.0, 0.0]]), BOX)
    x, y = rng.uniform(10, 109, 40), rng.uniform(20, 319, 40)
    fitted = ChebyshevField.fit(x, y, truth.evaluate(x, y), 2, BOX)
    assert np.allclose(fitted.coefficients, truth.coefficients, rtol=0, atol=1e-13)
    assert fitted.coefficients[2, 1] == fitted.coefficients[1, 2] == fitted.coefficients[2, 2] == 0


def test_square_fit_has_all_terms() -> None:
    rng = np.random.default_rng(2)
    truth = ChebyshevField(rng.normal(size=(3, 3)), BOX)
    x, y = rng.uniform(10, 109, 40), rng.uniform(20, 319, 40)
    fitted = ChebyshevField.fit(x, y, truth.evaluate(x, y), 2, BOX, triangular=False)
    assert np.allclose(fitted.coefficients, truth.coefficients, rtol=0, atol=1e-12)


def test_weights_are_inverse_errors() -> None:
    # The weighted mean of 0 and 10 with errors 1 and 2 is 2.
    x = np.array([50.0, 60.0])
    fitted = ChebyshevField.fit(x, x, np.array([0.0, 10.0]), 0, BOX, weight=np.array([1.0, 0.5]))
    assert fitted.coefficients[0, 0] == pytest.approx(2.0)


def test_too_few_values() -> None:
    with pytest.raises(ValueError, match="5 values cannot determine 6 terms"):
        ChebyshevField.fit(np.arange(5.0), np.arange(5.0), np.arange(5.0), 2, BOX)


def test_shifted() -> None:
    field = ChebyshevField(np.array([[1.0, 0.5], [0.3, 0.2]]), BOX)
    assert field.shifted(-10, 5).evaluate(40.0, 105.0) == pytest.approx(field.evaluate(50.0, 100.0))
