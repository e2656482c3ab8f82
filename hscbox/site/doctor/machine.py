"""The machine and the program: image, versions, code paths of the processor."""

from __future__ import annotations

from collections.abc import Iterator

from ...machine.image import image_identity
from ...machine.mounts import container_engine
from ..finding import Context, Finding, State

__all__ = ["check_cpu", "check_image", "check_versions"]


def check_image(context: Context) -> Iterator[Finding]:
    """Say which image this is and which engine runs it."""
    del context
    identity, engine = image_identity(), container_engine()
    if identity:
        words = ", ".join(f"{key} {value}" for key, value in identity.items() if value)
        yield Finding("image", State.OK, f"{words}; run by {engine}")
    elif engine:
        # Such marks are left in many places, as in a machine made from an image; they do not say who runs this.
        yield Finding("image", State.OK, f"not an image of hscbox; marks of {engine} are here")
    else:
        yield Finding("image", State.OK, "not an image")


def check_versions(context: Context) -> Iterator[Finding]:
    """Say the versions of the packages that touch the numbers."""
    del context
    from ...pipeline.provenance import package_versions

    yield Finding("versions", State.OK, ", ".join(f"{name} {text}" for name, text in package_versions().items()))


def check_cpu(context: Context) -> Iterator[Finding]:
    """Say which code paths the numerical libraries take."""
    del context
    from ...machine.dispatch import dispatch_state

    state = dispatch_state()
    if state.bitwise:
        yield Finding("processor", State.OK, f"{state}; same bytes as on other machines")
    else:
        yield Finding(
            "processor",
            State.WARN,
            f"{state}: {'; '.join(state.problems)}",
            "Products may differ from those of other machines in the last digits; "
            "hscbox regress check says whether they are within the tolerances",
        )
