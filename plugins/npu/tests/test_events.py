"""The recursion over tiles, and that the closed forms are what it says for equal tiles."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nasplug_npu.events import chrome_trace, simulate, slowdown
from nasplug_npu.model.pipeline import Loads, pipeline_cycles, uneven_cycles
from nasplug_npu.model.sparsity import slowest_share

from nasplug.contract.errors import DataError

clocks = st.integers(0, 50)
tiles = st.lists(st.tuples(clocks, clocks, clocks), min_size=1, max_size=12)


@given(n=st.integers(1, 30), load=clocks, compute=clocks, store=clocks, double=st.booleans())
def test_closed_forms_are_exact_for_equal_tiles(n, load, compute, store, double):
    found = simulate([load] * n, [compute] * n, [store] * n, buffers=2 if double else 1)
    closed = pipeline_cycles(n, load, 0, compute, store, 0, double=double, ports="separate")
    assert found.cycles == closed


@given(
    heads=st.integers(1, 6),
    others=st.integers(0, 6),
    loads=st.tuples(clocks, clocks, clocks),
    compute=clocks,
    store=clocks,
    double=st.booleans(),
    order=st.randoms(use_true_random=False),
)
def test_the_first_tile_waits_for_all_of_its_load(heads, others, loads, compute, store, double, order):
    """Exact wherever the long loads stand, as long as stores keep up: the first is the one that nothing hides."""
    first, head, rest = loads
    following = [head] * (heads - 1) + [rest] * others
    order.shuffle(following)
    n = heads + others
    found = simulate([first, *following], [compute] * n, [store] * n, buffers=2 if double else 1)
    parts = Loads(heads, (0, first), (0, head), (0, rest), 0, 0)
    closed = float(uneven_cycles(n, parts, compute, store, double=double, ports="separate"))
    if store <= compute or len({first, *following}) == 1:
        assert found.cycles == closed
    else:
        assert found.cycles <= closed


@given(n=st.integers(1, 30), load=clocks, compute=clocks, store=clocks, double=st.booleans())
def test_equal_loads_give_the_form_of_equal_tiles(n, load, compute, store, double):
    parts = Loads(n, (load, 0), (load, 0), (load, 0), 3, 3)
    closed = pipeline_cycles(n, load, 0, compute, store, 3, double=double, ports="separate")
    assert uneven_cycles(n, parts, compute, store, double=double, ports="separate") == closed


@given(tiles=tiles, shared=st.booleans(), buffers=st.integers(1, 3))
def test_bounds(tiles, shared, buffers):
    load, compute, store = np.array(tiles, dtype=float).T
    found = simulate(load, compute, store, buffers=buffers, shared_port=shared).cycles
    assert max(load.sum(), compute.sum(), store.sum()) <= found <= load.sum() + compute.sum() + store.sum()
    if shared:
        assert found >= load.sum() + store.sum()


@given(tiles=tiles, more=st.tuples(clocks, clocks, clocks), at=st.integers(0, 11))
def test_longer_tiles_never_help(tiles, more, at):
    parts = np.array(tiles, dtype=float).T
    longer = parts.copy()
    longer[:, at % parts.shape[1]] += more
    assert simulate(*longer).cycles >= simulate(*parts).cycles


@given(tiles=tiles)
def test_a_second_half_of_the_buffer_never_hurts(tiles):
    parts = np.array(tiles, dtype=float).T
    one, two, three = (simulate(*parts, buffers=buffers).cycles for buffers in (1, 2, 3))
    assert three <= two <= one


@settings(max_examples=50)
@given(n=st.integers(20, 60), load=st.integers(1, 50), compute=st.integers(1, 50), store=st.integers(1, 50))
def test_a_shared_port_takes_about_what_its_form_says(n, load, compute, store):
    found = simulate([load] * n, [compute] * n, [store] * n, shared_port=True).cycles
    closed = pipeline_cycles(n, load, 0, compute, store, 0, double=True, ports="shared")
    assert found == pytest.approx(closed, rel=0.35)


def test_measured_zeros_agree_with_the_expected_slowdown():
    rng = np.random.default_rng(0)
    for density, lanes, sync in ((0.5, 8, 64), (0.3, 4, 32), (0.8, 16, 64), (0.5, 1, 64)):
        mask = rng.random((512, 2304)) < density
        assert slowdown(mask, lanes, sync) == pytest.approx(float(slowest_share(density, lanes, sync)), rel=0.015)


def test_no_zeros_no_gain():
    assert slowdown(np.ones((5, 70)), lanes=4, sync=16) == 1


def test_the_trace_has_every_piece_of_work_once():
    schedule = simulate([3, 3], [5, 0], [1, 1])
    events = chrome_trace([("a", schedule), ("b", schedule)], freq_hz=1e6)
    assert len(events) == 2 * 5  # a computation of no clocks is left out
    assert max(event["ts"] + event["dur"] for event in events) == pytest.approx(2 * schedule.cycles)


def test_durations_must_go_together():
    with pytest.raises(DataError, match="one duration each"):
        simulate([1], [1, 2], [1])
