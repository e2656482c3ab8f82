"""Background, cosmic rays, detection and deblending."""
