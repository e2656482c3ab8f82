"""The container image that this program runs from, as far as it can be known inside."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

__all__ = ["image_identity"]

# Podman's mark in a container; it names the image only where the container is privileged.
_PODMAN = Path("/run/.containerenv")


def image_identity(prefix: Path | None = None, podman: Path = _PODMAN) -> dict[str, str]:
    """Return what the build of the image wrote about it, with its digest if the engine tells it.

    Version, revision of the code and digest of the base determine the bytes of the image. Empty outside an image.
    """
    file = (prefix or Path(sys.prefix)) / "share" / "hscbox" / "image.json"
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    identity = {str(key): str(value) for key, value in content.items()} if isinstance(content, dict) else {}
    try:
        found = re.search(r'^imageid="(\w+)"$', podman.read_text(encoding="utf-8"), re.MULTILINE)
    except (OSError, UnicodeDecodeError):
        found = None
    return identity | ({"digest": f"sha256:{found[1]}"} if found and identity else {})
