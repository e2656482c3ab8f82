"""Reference catalogues made from tables, or downloaded from TAP services."""
