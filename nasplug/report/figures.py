"""Matplotlib without global state: the house style, and figures as inline SVG or PNG.

A figure is drawn once, in the light colours of `PALETTE`. In the SVG each of these colours is replaced by the
CSS variable of its name, so that the page can turn dark without being drawn again.
"""

from __future__ import annotations

import html
import io
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nasplug.optional import require

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: Name -> (light, dark). `c1` to `c8` tell series and families apart; the first seven are apart for colour-blind eyes.
PALETTE: dict[str, tuple[str, str]] = {
    "ink": ("#1d2633", "#e4e8ee"),
    "muted": ("#667085", "#98a2b3"),
    "line": ("#dfe3ea", "#333b48"),
    "surface": ("#ffffff", "#1a1f27"),
    "page": ("#f4f6f9", "#12161c"),
    "c1": ("#2f6fde", "#6ea2ff"),
    "c2": ("#d9730d", "#f2a154"),
    "c3": ("#12875b", "#4fc596"),
    "c4": ("#b83280", "#ee83bb"),
    "c5": ("#7a4fd0", "#b196f5"),
    "c6": ("#8a7a12", "#d3c24f"),
    "c7": ("#c0392f", "#f28b82"),
    "c8": ("#4a7d8c", "#86b8c7"),
}
LIGHT = {name: light for name, (light, _) in PALETTE.items()}
#: Colours for a handful of lines in one picture.
CYCLE = ("c1", "c2", "c3", "c4", "c5", "c6")

_STYLE: dict[str, Any] = {
    "font.size": 9,
    "axes.titlesize": 9,
    "axes.titlelocation": "left",
    "axes.titlecolor": LIGHT["ink"],
    "axes.labelcolor": LIGHT["muted"],
    "axes.edgecolor": LIGHT["line"],
    "axes.facecolor": "none",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "grid.color": LIGHT["line"],
    "grid.linewidth": 0.7,
    "text.color": LIGHT["ink"],
    "text.parse_math": False,  # names come from users; a dollar sign is a dollar sign
    "xtick.color": LIGHT["line"],
    "ytick.color": LIGHT["line"],
    "xtick.labelcolor": LIGHT["muted"],
    "ytick.labelcolor": LIGHT["muted"],
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    "figure.facecolor": LIGHT["surface"],
    "svg.fonttype": "none",  # text stays text: small, selectable, in the font of the page
    "savefig.dpi": 160,
}


@dataclass(frozen=True, slots=True)
class Picture:
    """A finished drawing.

    Attributes:
        name: File name without suffix, unique in the report.
        figure: Figure to embed.
        alt: Description of the figure for those who cannot see it.
        caption: Caption: what to know when reading the figure.
        salt: Text that keeps the identifiers of this picture apart from those of one with the same name.
    """

    name: str
    figure: Figure
    alt: str
    caption: str = ""
    salt: str = ""


@contextmanager
def style() -> Iterator[None]:
    """The house style, whatever the user's own matplotlib settings are. Restores them afterwards."""
    require("matplotlib", extra="report", purpose="draw plots")
    import matplotlib.style

    with matplotlib.style.context(["default", _STYLE]), warnings.catch_warnings():
        # Characters that the drawing font lacks are there in the page's font.
        warnings.filterwarnings("ignore", message=r"(?s)Glyph .* missing")
        yield


def new_figure(width: float, height: float) -> Figure:
    """An empty figure of that size in inches."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def save_png(picture: Picture, folder: Path) -> Path:
    """Writes `folder/<name>.png`."""
    path = folder / f"{picture.name}.png"
    picture.figure.savefig(path, format="png")
    return path


def to_svg(picture: Picture) -> str:
    """The figure as an `<svg>` element for an HTML page: themed, without identifiers that could clash."""
    import matplotlib

    buffer = io.StringIO()
    with matplotlib.rc_context({"svg.hashsalt": picture.name + picture.salt}):
        picture.figure.savefig(buffer, format="svg", metadata={"Date": None}, transparent=True)
    svg = buffer.getvalue()
    return _inline(svg[svg.index("<svg") :], picture)


_HEX = re.compile(r"(?<=: )(#[0-9a-f]{6})\b")
_VARIABLE = {light: f"var(--{name})" for name, light in LIGHT.items()}


def _inline(svg: str, picture: Picture) -> str:
    width = picture.figure.get_size_inches()[0]
    view = re.search(r'viewBox="[^"]+"', svg)
    assert view is not None
    body = svg[svg.index(">") + 1 :]
    body = re.sub(r"<metadata>.*?</metadata>", "", body, flags=re.DOTALL)
    body = re.sub(r"<defs>\s*<style[^>]*>.*?</style>\s*</defs>", "", body, flags=re.DOTALL)
    used = set(re.findall(r'(?:href="#|url\(#)([^")]+)', body))
    body = re.sub(r' id="([^"]+)"', lambda match: match[0] if match[1] in used else "", body)
    body = re.sub(r"font: ([\d.]+)px [^;\"]*", r"font-size: \1px", body)
    body = _HEX.sub(lambda match: _VARIABLE.get(match[1], match[1]), body)
    body = re.sub(r"\n\s*", "\n", body)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" {view[0]} role="img" '
        f'aria-label="{html.escape(picture.alt)}" style="max-width: {width * 96:.0f}px; '
        f'min-width: {width * 58:.0f}px">{body}'
    )
