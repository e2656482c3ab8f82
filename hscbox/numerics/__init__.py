"""Statistics, moments and convolutions of arrays, and the compiler of loops."""
