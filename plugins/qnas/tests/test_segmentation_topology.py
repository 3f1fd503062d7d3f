"""Repair, skips and published sizes of SegQNAS."""

from __future__ import annotations

import itertools

import pytest
from nasplug_qnas.segmentation.network import SegNetwork
from nasplug_qnas.segmentation.topology import UNET_CELLS, Gene, decode, repair

from nasplug.contract.errors import SpecError


def genes(text, cells=None):
    """Genes of `vgg_d_5,...`, or of blocks such as `vgg_5,ide,...` on cells."""
    names = text.split(",")
    if cells is not None:
        names = [f"{name[:3]}_{cell}{name[3:]}" for name, cell in zip(names, cells, strict=True)]
    return [Gene.parse(name) for name in names]


def of_cells(cells):
    return genes(",".join(["vgg_3"] * len(cells)), cells)


PROSTATE_1, PROSTATE_2 = "uuddddduun", "dnddddnnnn"

#: Genotype, channels, classes, and published numbers: repaired cells (where known) and parameters as Keras counts them,
#: which include the running statistics of batch normalisation.
GOLDEN = {
    "spleen U-Net": (of_cells(UNET_CELLS), 1, 2, UNET_CELLS, 2_734_354),
    "spleen 1": (of_cells("ndudddddnu"), 1, 2, None, 994_578),
    "spleen 2": (
        genes("den_3,res_5,vgg_5,res_5,inc_3,res_3,res_3,res_5,inc_3,ide", UNET_CELLS),
        1,
        2,
        None,
        5_322_130,
    ),
    "spleen 3": (
        genes("res_3,den_3,res_7,inc_7,vgg_3,vgg_3,res_5,inc_7,res_7,den_3", "ndudddddnu"),
        1,
        2,
        None,
        2_043_090,
    ),
    "spleen 3, second": (
        genes("inc_3,ide,inc_5,den_3,den_3,res_5,vgg_3,den_7,den_7,inc_3", "dndnnndndn"),
        1,
        2,
        None,
        2_283_730,
    ),
    "spleen 4": (
        genes("inc_n_3,den_d_3,den_d_3,res_u_5,res_n_3,res_n_5,res_d_5,den_n_5,den_n_5,den_d_3"),
        1,
        2,
        None,
        1_024_146,
    ),
    "spleen 4, second": (
        genes("inc_n_3,res_d_3,vgg_d_5,vgg_n_7,res_u_5,res_n_7,vgg_d_7,inc_u_5,res_d_3,ide_n"),
        1,
        2,
        None,
        1_352_658,
    ),
    "prostate 1": (of_cells(PROSTATE_1), 2, 3, None, 2_739_987),
    "prostate 1, second": (of_cells(PROSTATE_2), 2, 3, None, 3_866_515),
    "prostate 2": (
        genes("ide,vgg_3,vgg_5,inc_3,den_3,den_5,vgg_5,res_5,inc_7,vgg_7", UNET_CELLS),
        2,
        3,
        None,
        5_741_011,
    ),
    "prostate 2, second": (
        genes("vgg_5,vgg_7,res_7,inc_5,vgg_3,den_7,ide,res_3,inc_3,res_7", UNET_CELLS),
        2,
        3,
        None,
        5_515_859,
    ),
    "prostate 3": (
        genes("vgg_5,inc_5,vgg_7,res_3,inc_3,ide,den_7,vgg_7,res_5,den_5", PROSTATE_1),
        2,
        3,
        None,
        4_261_587,
    ),
    "prostate 3, second": (
        genes("res_5,res_7,den_3,res_7,inc_7,inc_3,vgg_7,ide,res_5,den_7", PROSTATE_2),
        2,
        3,
        None,
        17_016_403,
    ),
    "prostate 4": (
        genes("vgg_d_7,vgg_d_7,inc_d_5,den_d_5,res_d_5,vgg_u_7,vgg_d_5,vgg_n_5,inc_n_5,den_d_7"),
        2,
        3,
        "ddddnunuuu",
        12_829_267,
    ),
    "prostate 4, second": (
        genes("res_d_3,res_n_5,res_d_7,vgg_d_5,res_d_7,den_n_5,res_d_7,inc_n_3,den_n_5,inc_d_5"),
        2,
        3,
        None,
        16_417_427,
    ),
}


def counted(network):
    trainable = sum(parameter.numel() for parameter in network.parameters())
    running = sum(buffer.numel() for name, buffer in network.named_buffers() if "running" in name)
    return trainable, trainable + running


@pytest.mark.parametrize("name", GOLDEN)
def test_published_genotypes_have_their_published_size(name):
    chain, channels, classes, cells, size = GOLDEN[name]
    if cells is not None:
        assert "".join(repair([gene.cell for gene in chain])) == cells
    network = SegNetwork(chain, channels, classes, published_output=True)
    assert counted(network)[1] == size


def test_trainable_parameters_as_published():
    chain, channels, classes, *_ = GOLDEN["prostate 4"]
    assert counted(SegNetwork(chain, channels, classes, published_output=True))[0] == 12_820_883
    chain, channels, classes, *_ = GOLDEN["spleen U-Net"]
    assert counted(SegNetwork(chain, channels, classes, published_output=True))[0] == 2_729_618


@pytest.mark.parametrize("length", [1, 2, 3, 6, 7])
def test_every_chain_ends_where_it_began(length):
    for cells in itertools.product("dnu", repeat=length):
        fixed = repair(cells, max_depth=2)
        depths = list(itertools.accumulate({"d": 1, "n": 0, "u": -1}[cell] for cell in fixed))
        assert depths[-1] == 0
        assert min(depths) >= 0
        assert max(depths) <= 2
        assert repair(fixed, max_depth=2) == fixed


@pytest.mark.parametrize("cells", ["n" * 6, "ddnnuu", "dudu", "ndun"])
def test_a_sound_chain_is_left_alone(cells):
    assert "".join(repair(cells)) == cells


def skips(cells):
    return [layer.skip for layer in decode(of_cells(cells))]


def test_skips_by_hand():
    # behind a step up, the latest earlier output of the same shape; never the stem
    assert skips("dduun") == [None, None, None, 0, None]
    assert skips("ndun") == [None, None, None, 0]
    assert skips(UNET_CELLS) == [None, None, None, None, None, None, 3, 2, 1, 0]
    # behind a nonscaling cell, two layers back, if the shape is the same
    assert skips("nnn") == [None, None, 0]
    assert skips("dnnu") == [None, None, 0, 1]


def test_the_identity_builds_nothing_but_counts_as_a_place():
    layers = decode(genes("vgg_n_3,ide_n,vgg_n_3"))
    assert [str(layer.gene) for layer in layers] == ["vgg_n_3", "vgg_n_3"]
    assert layers[1].skip == 0  # two places back is the same output, which is merged with itself
    assert layers[1].source == 0
    layers = decode(genes("ide_d,ide_u"))
    assert [(layer.inputs, layer.outputs, layer.level) for layer in layers] == [(16, 32, 1), (32, 16, 0)]


@pytest.mark.parametrize("name", ["vgg_d", "ide_n_3", "vgg_x_3", "vgg_d_4", "conv_d_3", "", "vgg_d_3 "])
def test_what_is_not_a_gene(name):
    with pytest.raises(SpecError, match="is not a gene of SegQNAS"):
        Gene.parse(name)


def test_names_of_genes_come_back():
    for name in ("vgg_d_7", "ide_u", "inc_n_3"):
        assert str(Gene.parse(name)) == name
