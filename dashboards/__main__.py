"""Write every dashboard: ``python -m dashboards [FOLDER]``."""

from __future__ import annotations

import sys
from pathlib import Path

from dashboards.writing import FOLDER, write_all

if __name__ == "__main__":
    for path in write_all(Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER):
        sys.stdout.write(f"{path}\n")
