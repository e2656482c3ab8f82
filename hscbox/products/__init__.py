"""How exposures, catalogues, backgrounds, reference shards and run metadata look on disk."""
