"""Draws one network of every search space that has graphs, for the gallery: `python docs/gallery.py`.

Writes `docs/pictures/SPACE-{light,dark}.svg` and the page `docs/gallery.md`. Every network is the first that the space
samples with seed 0.
"""

from __future__ import annotations

from pathlib import Path

import matplotlib
import numpy as np

from nasplug.plugins.component import Component, instantiate
from nasplug.plugins.discovery import discover
from nasplug.report.drawing import draw_graph, summary
from nasplug.report.figures import PALETTE, style

HERE = Path(__file__).parent
PICTURES = HERE / "pictures"
HEAD = """# Gallery

Networks as the spaces of the packages hold them, drawn by the code that draws those of a report. Each is the first that
its space samples with seed 0: a beginning, not a result. Written by `docs/gallery.py`."""
#: Space, with its arguments, and what a reader sees.
SPACES: dict[str, tuple[dict[str, object], str]] = {
    "qnas.conv": ({"nodes": 8}, "A chain of Q-NAS: convolutions `conv_KERNEL_STRIDE_FILTERS` and pools."),
    "qnas.residual": ({"nodes": 8}, "A chain of residual blocks of Q-NAS."),
    "qnas.segmentation": ({}, "The U-shaped chain of cells of SegQNAS: `d` goes down, `u` up, `n` stays."),
    "nasbench101": ({}, "A cell of NAS-Bench-101."),
    "nasbench201": ({}, "A cell of NAS-Bench-201, its operations as nodes."),
    "emonas.macro": ({}, "A network of EMONAS, found as a whole."),
    "emonas.micro": ({}, "A normal and a reduction cell of EMONAS."),
    "darts_lp.cell": ({}, "Cells of DARTS, of low precision."),
    "darts_lp.layers": ({}, "Layers with bits of weights (`w`) and activations (`a`) of their own."),
    "unet": ({}, "A U-Net whose levels have blocks, kernels and skips of their own."),
    "cgap.blocks": ({}, "The blocks of ENAS-S."),
    "resnet": ({}, "A residual network, as `nasplug auto` takes them for images."),
    "tabular_mlp": ({}, "A perceptron for rows of a table."),
}


def drawn(slug: str, arguments: dict[str, object]) -> str:
    """Writes the two pictures of a space; returns the alternative text."""
    space = instantiate("space", Component(slug, arguments), discover().catalog, where="gallery")
    graph = space.graph(space.sample(np.random.default_rng(0)))
    with style(), matplotlib.rc_context({"svg.hashsalt": slug}):
        figure = draw_graph(graph, slug, slug).figure
        path = PICTURES / f"{slug}-light.svg"
        figure.savefig(path, metadata={"Date": None, "Creator": None}, transparent=True)
    light = "\n".join(line.rstrip() for line in path.read_text(encoding="utf-8").splitlines()) + "\n"
    dark = light
    for before, after in PALETTE.values():
        dark = dark.replace(before, after)
    path.write_text(light, encoding="utf-8")
    (PICTURES / f"{slug}-dark.svg").write_text(dark, encoding="utf-8")
    return summary(graph)


def main() -> None:
    """Draws everything and writes the page."""
    parts = [HEAD]
    for slug, (arguments, words) in SPACES.items():
        text = drawn(slug, arguments)
        pictures = "\n".join(
            f"![{slug}: {text}](pictures/{slug}-{theme}.svg){{.only-in-{theme}}}" for theme in ("light", "dark")
        )
        parts.append(f"## `{slug}`\n\n{words}\n\n{pictures}")
    (HERE / "gallery.md").write_text("\n\n".join(parts) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
