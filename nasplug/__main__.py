"""`python -m nasplug` is `nasplug`, for environments whose scripts are elsewhere."""

from __future__ import annotations

import sys

from nasplug.cli.app import main

if __name__ == "__main__":
    sys.exit(main())
