"""What Hyper Suprime-Cam is: detectors, amplifiers, distortion, filters, header translation.

The facts live in `camera/data/*.ecsv`, each table naming its public source. Modules are imported one by one
(`hscbox.camera.camera.load_camera`), so that ingest does not pay for what it does not use.
"""

from __future__ import annotations
