"""Pictures of frames and products, for a person to look at."""
