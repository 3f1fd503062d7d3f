"""Builds the site: `uv run --group site python docs/site/build.py`, then open `dist/site/index.html`.

Every warning is an error: a link that leads nowhere, a page that no menu names, a docstring that does not parse.
`--sizes` prints the weight of the pages.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
OUT = ROOT / "dist" / "site"
sys.path.insert(0, str(Path(__file__).parent))

import reference  # noqa: E402  (a file beside this one)

FRONT = """<!doctype html><meta charset="utf-8"><title>nasplug</title>
<meta http-equiv="refresh" content="0; url=docs/index.html"><a href="docs/index.html">nasplug</a>
"""


def build(out: Path, *, fresh: bool = False) -> None:
    """Writes the reference, then the site."""
    if fresh:
        shutil.rmtree(out, ignore_errors=True)
    reference.write(ROOT / "docs" / "_reference")
    subprocess.run(
        [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-j", "auto", "-c", "docs/site", ".", str(out)],
        cwd=ROOT,
        check=True,
    )
    (out / "index.html").write_text(FRONT, encoding="utf-8")
    (out / ".nojekyll").touch()


def weights(out: Path) -> dict[str, int]:
    """Bytes of every page."""
    return {str(path.relative_to(out)): path.stat().st_size for path in sorted(out.rglob("*.html"))}


def main() -> None:
    """Builds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=OUT)
    parser.add_argument("--fresh", action="store_true", help="build everything anew")
    parser.add_argument("--sizes", action="store_true", help="print the weight of the pages")
    arguments = parser.parse_args()
    build(arguments.out, fresh=arguments.fresh)
    found = weights(arguments.out)
    print(f"{len(found)} pages in {arguments.out}")
    if arguments.sizes:
        for name, size in sorted(found.items(), key=lambda item: -item[1])[:10]:
            print(f"{size:10,}  {name}")


if __name__ == "__main__":
    main()
