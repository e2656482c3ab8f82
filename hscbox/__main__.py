"""``python -m hscbox``."""

from .cli import main

main()
