"""A suite that nothing can fail protects nobody: every fault here is one that an author could make."""

from __future__ import annotations

import pytest

from nasplug.contract.errors import NasplugError

#: What a suite fails with.
WRONG = (AssertionError, NasplugError, KeyError, IndexError, TypeError, AttributeError, pytest.fail.Exception)
