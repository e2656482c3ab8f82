"""From raw frame to products: composition of the steps, many CCDs, configuration and provenance."""
