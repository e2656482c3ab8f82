"""Sites: where data are and how the image is started there, and whether all of it is as a run needs it."""
