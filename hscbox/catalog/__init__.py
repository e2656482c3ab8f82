"""Source, match and reference catalogues: schema, tables in memory, and their FITS form."""
