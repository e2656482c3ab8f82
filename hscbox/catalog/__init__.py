"""Source, match and reference catalogues in memory: schema, tables, footprints. No file is opened here."""
