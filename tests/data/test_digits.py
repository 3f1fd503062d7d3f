from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from nasplug.contract.errors import DataError
from nasplug.data import Digits


def test_the_real_digits_with_a_fixed_test_part():
    from sklearn.datasets import load_digits

    first, second = Digits().load(), Digits().load()
    assert first.input_shape == (1, 8, 8)
    assert first.classes == tuple("0123456789")
    assert (len(first.y_train), len(first.y_test)) == (1438, 359)
    np.testing.assert_array_equal(first.x_test, second.x_test)
    both = np.concatenate([first.x_train, first.x_test]).reshape(1797, -1) * 16
    theirs = load_digits().data
    assert sorted(map(tuple, both.tolist())) == sorted(map(tuple, theirs.tolist()))
    shares = np.bincount(first.y_test) / np.bincount(np.concatenate([first.y_train, first.y_test]))
    assert (abs(shares - 0.2) < 0.01).all()


def test_the_second_process_needs_no_scikit_learn():
    Digits().load()
    code = "import sys; from nasplug.data import Digits; Digits().load(); assert 'sklearn' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


@pytest.mark.parametrize("fraction", [0.0, 1.0])
def test_refuses_a_fraction(fraction):
    with pytest.raises(DataError, match="test_fraction"):
        Digits(test_fraction=fraction).load()
