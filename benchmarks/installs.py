"""Records which distributions were installed alone, on which Python, and imported whole.

`python .ci/wheels.py --kinds wheel sdist --python PYTHON... --json FILE` does it, on any machine that has the Pythons;
this script puts its files together. A distribution that could not be installed or imported ends that command.

Run: python benchmarks/installs.py FILE...
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from pathlib import Path

from _record import record


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", type=Path, nargs="+")
    tried = [item for path in parser.parse_args().files for item in json.loads(path.read_text())]
    counts: dict[str, Counter[str]] = {}
    for item in tried:
        kind = "wheels" if item["file"].endswith(".whl") else "source_distributions"
        counts.setdefault(item["python"], Counter())[kind] += 1
    record("installs", {"seeds": [], "installed": {python: dict(count) for python, count in counts.items()}})


if __name__ == "__main__":
    main()
