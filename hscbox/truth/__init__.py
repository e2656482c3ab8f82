"""Products held against the truth of the generator."""
