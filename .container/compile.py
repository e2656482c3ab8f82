"""Compile the loops that a run has left compiled once more, so that two builds give the same bytes.

numba writes the hashes of constants, the addresses of objects and running numbers as names into the compiled code (the
instructions are the same). Hence one thread, a fixed order, counted names; to be run with PYTHONHASHSEED=0.
"""

import functools
import importlib
import itertools
import re
import sys
from pathlib import Path

import hscbox

# Imported after hscbox has pinned the processor that numba compiles for. It names an expression by its address.
array_exprs = importlib.import_module("numba.np.ufunc.array_exprs")
numbers = itertools.count()
array_exprs.hex = lambda address: f"0x{next(numbers):x}"

package = Path(hscbox.__file__).parent
loops = []
for index in sorted(package.rglob("*.nbi")):
    # For instance numerics/__pycache__/median_filter.median_5x5-loop.py313.nbi
    stem, function = index.name.rsplit("-", 1)[0].split(".", 1)
    place = index.parent.parent.relative_to(package.parent) / stem
    module = importlib.import_module(".".join(place.parts))
    loop = functools.reduce(getattr, function.split("."), module)
    loops.append((loop, loop._cache.signatures()))
for path in package.rglob("*.nb[ic]"):
    path.unlink()
for loop, signatures in loops:
    for signature in signatures:
        loop.compile(signature)
# The listing of types that is kept beside the code shows functions with their addresses.
for path in package.rglob("*.nbc"):
    path.write_bytes(
        re.sub(rb" at 0x[0-9a-f]+>", lambda found: b" at 0x" + b"0" * (len(found[0]) - 7) + b">", path.read_bytes())
    )
forms = sum(len(signatures) for _, signatures in loops)
print(len(loops), "loops,", forms, "compiled forms")
if forms < len(loops):
    sys.exit("A loop that the run used has no compiled form")
