"""Products held against the truth of the generator and against goldens."""
