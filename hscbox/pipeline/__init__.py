"""One CCD, from raw frame to products: composition of the steps, configuration and provenance."""
