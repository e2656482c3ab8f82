"""The FITS format: headers, images, tables and archives, read with suspicion and written with checksums."""
