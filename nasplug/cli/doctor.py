"""`nasplug doctor`: is everything there that a search needs, and what to do where it is not."""

from __future__ import annotations

import argparse
import importlib
import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path

from nasplug.cli import output
from nasplug.cli.loading import find_plugins
from nasplug.cli.parser import Parser
from nasplug.contract.wording import plural
from nasplug.plugins.packages import is_installed, known

SUMMARY = "Check the installation, with a remedy for every problem."

#: Module, its distribution, the extra that brings it, and what it is needed for.
LIBRARIES = (
    ("torch", "torch", "train", "train networks"),
    ("pytorch_lightning", "pytorch-lightning", "train", "train networks"),
    ("torchmetrics", "torchmetrics", "train", "score networks"),
    ("torchvision", "torchvision", "timm", "let timm prepare images"),
    ("timm", "timm", "timm", "search among timm's models"),
    ("safetensors", "safetensors", "train", "keep weights"),
    ("sklearn", "scikit-learn", "train", "read the digits data"),
    ("PIL", "Pillow", "train", "read image files"),
    ("matplotlib", "matplotlib", "report", "draw reports"),
    ("jinja2", "Jinja2", "report", "write reports"),
    ("onnx", "onnx", "onnx", "export to ONNX"),
    ("onnxscript", "onnxscript", "onnx", "export to ONNX"),
    ("onnxruntime", "onnxruntime", "onnx", "check ONNX exports"),
)
_MISMATCH = (
    "torch and torchvision come from different builds: install both anew from one place, "
    "`pip install --force-reinstall torch torchvision` (for GPUs with the same --index-url for both)"
)


@dataclass(frozen=True, slots=True)
class Check:
    """One finding: `ok`, `absent` (optional and not installed) or `broken`."""

    name: str
    status: str
    detail: str
    fix: str | None = None


def add_arguments(parser: Parser) -> None:
    """Adds the options of `nasplug doctor`."""
    parser.add_argument("--json", action="store_true", help="print the findings as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Prints the findings; exits with 3 if something is broken."""
    checks = [*_system(), *_requirements(), *_libraries(), *_devices(), *_plugins(arguments), *_folders()]
    broken = [check for check in checks if check.status == "broken"]
    if arguments.json:
        output.print_json({"healthy": not broken, "checks": [asdict(check) for check in checks]})
        return 3 if broken else 0
    rows = [[check.name, check.status, check.detail] for check in checks]
    output.print_table(["what", "status", "detail"], rows)
    for check in checks:
        if check.fix and check.status == "broken":
            print(f"{check.name}: {check.fix}")
    print(f"{plural(len(broken), 'problem')} found" if broken else "everything needed works")
    return 3 if broken else 0


def _system() -> Iterator[Check]:
    from nasplug.plugins.discovery import version

    yield Check("nasplug", "ok", f"{version()} ({Path(__file__).parent.parent})")
    yield Check("python", "ok", f"{platform.python_version()} ({sys.executable})")
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    yield Check(
        "system", "ok", f"{platform.system()} {platform.release()} {platform.machine()}, {plural(usable, 'core')}"
    )


def _requirements() -> Iterator[Check]:
    """Installed versions against what the packages themselves ask for."""
    from packaging.requirements import Requirement

    for text in metadata.requires("nasplug") or ():
        wanted = Requirement(text)
        try:
            found = metadata.version(wanted.name)
        except metadata.PackageNotFoundError:
            if wanted.marker is None or wanted.marker.evaluate({"extra": ""}):
                yield Check(wanted.name, "broken", "not installed", f'pip install "{wanted.name}{wanted.specifier}"')
            continue
        if wanted.specifier and not wanted.specifier.contains(found, prereleases=True):
            yield Check(
                wanted.name,
                "broken",
                f"version {found}, nasplug needs {wanted.specifier}",
                f'pip install "{wanted.name}{wanted.specifier}"',
            )


def _libraries() -> Iterator[Check]:
    for module, distribution, extra, purpose in LIBRARIES:
        yield check_import(module, distribution, extra, purpose)


def check_import(module: str, distribution: str, extra: str, purpose: str) -> Check:
    """Imports a library, as nothing less shows whether it works here."""
    try:
        importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name == module:
            return Check(distribution, "absent", f'needed to {purpose}: pip install "nasplug[{extra}]"')
        return Check(distribution, "broken", str(error), f'pip install "{error.name}", which {distribution} needs')
    except Exception as error:  # a library that was built for another one fails in its own ways
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        mismatch = "torchvision::" in reason or "torchvision" in reason or "undefined symbol" in reason
        return Check(
            distribution, "broken", reason, _MISMATCH if mismatch else f"pip install --force-reinstall {distribution}"
        )
    try:
        return Check(distribution, "ok", metadata.version(distribution))
    except metadata.PackageNotFoundError:
        return Check(distribution, "ok", "of unknown version")


def _devices() -> Iterator[Check]:
    torch = sys.modules.get("torch")
    if torch is None:
        return
    try:
        names = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
    except Exception as error:  # drivers and devices fail in many ways
        yield Check("cuda", "broken", f"{type(error).__name__}: {error}", "check the driver with nvidia-smi")
        return
    build = torch.version.cuda or torch.version.hip
    if names:
        yield Check("cuda", "ok", f"{', '.join(names)} (torch built for {build})")
    else:
        why = "torch is built for the CPU alone" if build is None else f"torch is built for {build}, and sees no device"
        yield Check("cuda", "absent", f"{why}; searches run on the CPU")


def _plugins(arguments: argparse.Namespace) -> Iterator[Check]:
    for plugin in find_plugins(arguments).plugins:
        name = f"plugin {plugin.name}"
        if plugin.error is None:
            yield Check(name, "ok", plugin.distribution)
        else:
            fix = f"update or uninstall {plugin.distribution.rpartition(' ')[0] or plugin.distribution}"
            yield Check(name, "broken", " ".join(plugin.error.split()), fix)
    for distribution, package in known().items():
        if not is_installed(distribution):
            name = distribution.removeprefix("nasplug-").replace("-", "_")
            yield Check(f"plugin {name}", "absent", f"needed to {package.purpose}: pip install {distribution}")


def _folders() -> Iterator[Check]:
    from nasplug.data.cache import cache_folder
    from nasplug.data.cleaning import kept

    for name, folder, fix in (
        ("cache", cache_folder(), "set NASPLUG_CACHE to a folder that can be written"),
        ("temporary files", Path(tempfile.gettempdir()), "set TMPDIR to a folder that can be written"),
    ):
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder) as file:
                file.write(b"nasplug")
            free = shutil.disk_usage(folder).free
        except OSError as error:
            yield Check(name, "broken", f"{folder}: {error.strerror or error}", fix)
            continue
        held = f"{sum(entry.size for entry in kept()) / 2**30:.1f} GiB used, " if name == "cache" else ""
        detail = f"{folder}, {held}{free / 2**30:.1f} GiB free"
        if free < 2**28:
            yield Check(name, "broken", detail, "free some space, or " + fix)
        else:
            yield Check(name, "ok", detail)
