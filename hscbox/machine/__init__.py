"""The machine that this runs on: code paths of its processor, mounts, files, log lines."""
