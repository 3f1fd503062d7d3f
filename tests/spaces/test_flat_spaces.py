"""Spaces of listed, unconditional choices draw, mutate and cross exactly as they did before conditions were added."""

import hashlib
import importlib
import json
from pathlib import Path

import numpy as np
import pytest

#: By space, written with the version before; `python tests/spaces/test_flat_spaces.py` writes it anew.
RECORDED = Path(__file__).with_name("flat_spaces.json")
SPACES = {
    "synthetic": ("nasplug.testing", "SyntheticSpace", {}),
    "nasbench201": ("nasplug_tables.spaces.nasbench201.space", "NASBench201", {}),
    "qnas.conv": ("nasplug_qnas.spaces", "ConvSpace", {}),
    "qnas.residual": ("nasplug_qnas.spaces", "ResidualSpace", {"prior": "uniform", "nodes": 7}),
    "emonas.macro": ("nasplug_emonas.macro", "MacroSpace", {}),
    "emonas.micro": ("nasplug_emonas.micro", "MicroSpace", {}),
    "darts_lp.cell": ("nasplug_darts_lp.spaces.cell.space", "CellSpace", {}),
    "darts_lp.layers": ("nasplug_darts_lp.spaces.layers.space", "LayersSpace", {}),
}


def walk(space):
    """Keys of a random walk through everything that a space does with random numbers, and of its vector form."""
    rng, keys = np.random.default_rng(20), []
    one, other = space.sample(rng), space.sample(rng)
    for _ in range(60):
        mutant = space.mutate(one, rng)
        child = space.cross(mutant, other, rng)
        one, other = child, space.sample(rng)
        keys += [mutant.key, child.key, other.key, json.dumps([space.vector(child), child.genotype])]
        keys.append(space.from_vector(space.vector(mutant)).key)
        if hasattr(space, "code") and space.size() < 2**63:
            keys.append(str(space.code(child)))
    keys.append(str(space.size()))
    return keys


def record(name):
    module, attribute, arguments = SPACES[name]
    space = getattr(importlib.import_module(module), attribute)(**arguments)
    keys = walk(space)
    return {"sha256": hashlib.sha256("\n".join(keys).encode()).hexdigest(), "first": keys[0], "last": keys[-2]}


@pytest.mark.parametrize("name", SPACES)
def test_a_flat_space_behaves_as_recorded(name):
    pytest.importorskip(SPACES[name][0].partition(".")[0])
    assert record(name) == json.loads(RECORDED.read_text())[name]


if __name__ == "__main__":
    RECORDED.write_text(json.dumps({name: record(name) for name in SPACES}, indent=1) + "\n")
