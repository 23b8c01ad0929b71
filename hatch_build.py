"""Brings along what the explorer's page loads: uPlot (MIT), from npm, checked against the sums that stand here.

It is no part of the repository. Without npm, or without a network, the package is built without it, and says so: the
page then shows the picture that the server draws. COLDCHAIN_BROWSER=skip leaves it out on purpose, COLDCHAIN_BROWSER=
require fails where it cannot be had.

usage: python hatch_build.py      fetches it into a checkout that is installed already
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from hashlib import sha256
from pathlib import Path

try:
    from hatchling.builders.hooks.plugin.interface import BuildHookInterface
except ImportError:  # run by hand, outside a build
    BuildHookInterface = object

FILES = {
    "uPlot.iife.min.js": (
        "uplot/dist/uPlot.iife.min.js",
        "19c8d4c6ad88929a79f4ae49d6f7161566dfd0ba3d15cc495e974f787eb78f1f",
    ),
    "uPlot.min.css": ("uplot/dist/uPlot.min.css", "df630c6a8d6f8eeaff264b50f73ce5b114f646ffd9a0bb74f049b0a00135fa04"),
    "uPlot.LICENSE": ("uplot/LICENSE", "8f989229699b4fe2f1a0432d0e9edc338a8a911e250e2d1b01ecd770a5f5b1bd"),
}
LIMIT_S = 120
"""npm asks its registry again and again; a machine without a network need not wait for all of that."""
_VENDOR = Path("gateway/hub/web/static/vendor")


class CannotFetchError(Exception):
    """There is no npm, or it could not fetch."""


class BrowserFiles(BuildHookInterface):
    """Runs when the package is built or installed."""

    def initialize(self, version: str, build_data: dict[str, object]) -> None:
        """Fetch what is missing."""
        del version, build_data
        bring(Path(self.root))


def bring(root: Path) -> None:
    """Put the files where the hub serves them, unless they are there as they should be."""
    wish = os.environ.get("COLDCHAIN_BROWSER", "")
    if wish == "skip" or _is_complete(root / _VENDOR):
        return
    try:
        _fetch(root / "tools" / "browser", root / _VENDOR)
    except CannotFetchError as error:
        if wish == "require":
            raise SystemExit(f"uPlot could not be fetched: {error}") from error
        print(f"built without uPlot, the explorer shows the server's picture: {error}", file=sys.stderr)  # noqa: T201  a build speaks so


def _is_complete(vendor: Path) -> bool:
    return all((vendor / name).is_file() and _sum_of(vendor / name) == wanted for name, (_, wanted) in FILES.items())


def _fetch(source: Path, vendor: Path) -> None:
    npm = shutil.which("npm")
    if npm is None:
        raise CannotFetchError("npm is not installed")
    with tempfile.TemporaryDirectory() as folder:
        for name in ("package.json", "package-lock.json"):
            shutil.copy(source / name, folder)
        command = [
            npm,
            "ci",
            "--ignore-scripts",
            "--no-audit",
            "--no-fund",
            "--fetch-retries=1",
            "--fetch-timeout=20000",
        ]
        try:
            subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=LIMIT_S)  # noqa: S603  nothing of it is given
        except (subprocess.CalledProcessError, subprocess.TimeoutExpired, OSError) as error:
            raise CannotFetchError(f"npm ci: {type(error).__name__}") from error
        fetched = Path(folder) / "node_modules"
        for name, (path, wanted) in FILES.items():
            if _sum_of(fetched / path) != wanted:
                raise SystemExit(f"{name} is not what it was when it was chosen: its sum is wrong")
        vendor.mkdir(parents=True, exist_ok=True)
        for name, (path, _) in FILES.items():
            shutil.copy(fetched / path, vendor / name)


def _sum_of(file: Path) -> str:
    return sha256(file.read_bytes()).hexdigest()


if __name__ == "__main__":
    bring(Path(__file__).parent)
