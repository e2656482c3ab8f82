"""Shapes of sources: adaptive moments, re-Gaussianization, Kron radii."""
