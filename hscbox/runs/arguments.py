"""What a process-ccd command asks for, however it was typed."""

from __future__ import annotations

from dataclasses import dataclass, field

__all__ = ["DEFAULT_TIMEOUT", "ProcessCcdArguments"]

DEFAULT_TIMEOUT = 2592000.0


@dataclass(frozen=True)
class ProcessCcdArguments:
    """The options of section "process-ccd" in the manual, as typed.

    Attributes
    ----------
    ids
        For each ``--id`` the words after it; None if the option was not given at all.
    overrides
        ``("-c", "name=value")`` and ``("-C", "file")`` in the order typed.
    """

    input: str
    output: str | None = None
    rerun: str | None = None
    calib: str | None = None
    ids: list[list[str]] = field(default_factory=list)
    overrides: list[tuple[str, str]] = field(default_factory=list)
    log_levels: list[str] = field(default_factory=list)
    long_log: bool = False
    do_raise: bool = False
    show: list[str] = field(default_factory=list)
    processes: int = 1
    timeout: float = DEFAULT_TIMEOUT
    clobber_output: bool = False
    clobber_config: bool = False
    no_backup_config: bool = False
    clobber_versions: bool = False
    no_versions: bool = False
    strict_versions: bool = False
