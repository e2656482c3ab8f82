"""Print directories as the command `tree` does: `python docs/tree.py DIR`."""

from __future__ import annotations

import sys
from pathlib import Path


def lines(directory: Path, indent: str = "") -> list[str]:
    """Return the lines below a directory; symbolic links are shown with their target and not followed."""
    entries = sorted(directory.iterdir())
    found = []
    for entry in entries:
        last = entry == entries[-1]
        target = f" -> {entry.readlink()}" if entry.is_symlink() else ""
        found.append(f"{indent}{'`-- ' if last else '|-- '}{entry.name}{target}")
        if entry.is_dir() and not entry.is_symlink():
            found += lines(entry, indent + ("    " if last else "|   "))
    return found


def main() -> None:
    """Print the tree and the counts."""
    root = Path(sys.argv[1])
    below = [path for path in root.rglob("*") if not any(p.is_symlink() for p in path.parents if p != root)]
    n_directories = sum(path.is_dir() for path in below)
    print("\n".join([".", *lines(root)]))
    print(f"\n{n_directories} directories, {len(below) - n_directories} files")


if __name__ == "__main__":
    main()
