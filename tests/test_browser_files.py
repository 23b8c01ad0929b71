"""What the build does where npm is missing, fails, or brings something else than was chosen."""

from __future__ import annotations

import importlib.util
import shutil
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture
def build() -> ModuleType:
    spec = importlib.util.spec_from_file_location("hatch_build", ROOT / "hatch_build.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A fresh checkout, on a machine whose only programs are in `bin`."""
    shutil.copytree(ROOT / "tools" / "browser", tmp_path / "tools" / "browser")
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}")
    monkeypatch.delenv("COLDCHAIN_BROWSER", raising=False)
    return tmp_path


def put_npm(checkout: Path, script: str) -> None:
    npm = checkout / "bin" / "npm"
    npm.write_text(f"#!/bin/sh\n{script}\n")
    npm.chmod(0o755)


@pytest.mark.parametrize("npm", [None, "exit 1"])
def test_without_npm_it_is_built_without_the_library(
    build: ModuleType,
    checkout: Path,
    npm: str | None,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if npm is not None:
        put_npm(checkout, npm)
    build.bring(checkout)
    assert "built without uPlot" in capsys.readouterr().err
    assert not (checkout / "gateway").exists()
    monkeypatch.setenv("COLDCHAIN_BROWSER", "require")
    with pytest.raises(SystemExit, match="could not be fetched"):
        build.bring(checkout)
    monkeypatch.setenv("COLDCHAIN_BROWSER", "skip")
    build.bring(checkout)
    assert capsys.readouterr().err == ""


def test_what_is_not_what_was_chosen_is_never_served(build: ModuleType, checkout: Path) -> None:
    files = "node_modules/uplot/dist/uPlot.iife.min.js node_modules/uplot/dist/uPlot.min.css node_modules/uplot/LICENSE"
    put_npm(checkout, f"/bin/mkdir -p node_modules/uplot/dist; for f in {files}; do echo 'steal()' > $f; done")
    with pytest.raises(SystemExit, match="its sum is wrong"):
        build.bring(checkout)
    assert not (checkout / "gateway").exists()
