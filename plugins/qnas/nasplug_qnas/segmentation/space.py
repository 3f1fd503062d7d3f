"""The search spaces of SegQNAS as a nasplug space. Torch is imported only to build a network."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, TypeAlias, get_args

from nasplug.contract.errors import SpecError, did_you_mean
from nasplug.contract.protocols import Choice, Task
from nasplug.contract.records import Architecture, Genotype
from nasplug.spaces.choices import ChoiceSpace
from nasplug.spaces.graph import Graph
from nasplug_qnas.functions import natural_key
from nasplug_qnas.segmentation.topology import KERNELS, UNET_CELLS, Gene, Layer, decode
from nasplug_qnas.segmentation.workload import segmentation_workload

if TYPE_CHECKING:
    from nasplug.contract.io import Inputs
    from nasplug.workloads.workload import Workload

Search: TypeAlias = Literal["joint", "blocks", "topology"]

_BLOCKS = ("vgg", "res", "den", "inc")


class SegmentationSpace(ChoiceSpace):
    """U-Net-shaped chains of cells between a stem and a classifier of every pixel, for slices or volumes.

    Every node names a block and a cell that halves, keeps or doubles the resolution. Chains that would not end with the
    resolution of the input are repaired when they are built, so that several genotypes stand for one network; they have
    the same key. Networks for volumes are an extension: what was published is flat.

    Source: Baldo Carlos, Figueiredo, Hussain and Vellasco, SegQNAS, IJCNN 2023, and the code released with it.

    Args:
        search: Decisions of a node: `joint` (cell and block, 39 functions as published), `blocks` (blocks on fixed
            cells), or `topology` (cells with VGG blocks of the first kernel).
        nodes: Length of the genotype.
        kernels: Kernels of the blocks, odd numbers.
        cells: Cells of `blocks`, a letter for each node: `d` (down), `n`, `u` (up). None means the shape of a U-Net.
        stem: Number of filters of the stem, which each downscaling cell doubles; 16 as published.
        published_output: Whether the last convolution has a kernel as large as the number of classes, as in the
            released code, instead of 1.

    Raises:
        SpecError: An argument is not valid.
    """

    produces = ("map", "volume")

    def __init__(
        self,
        search: Search = "joint",
        nodes: int = 10,
        kernels: list[int] | None = None,
        cells: str | None = None,
        stem: int = 16,
        published_output: bool = False,
    ) -> None:
        where = "space 'qnas.segmentation'"
        if search not in get_args(Search):
            raise SpecError(f"there is no search {search!r}", where=where, fix=did_you_mean(search, get_args(Search)))
        sides = list(KERNELS) if kernels is None else list(kernels)
        if not sides or len(set(sides)) != len(sides) or any(side < 1 or side % 2 == 0 for side in sides):
            raise SpecError(f"kernels is {sides}", where=where, fix="list different odd numbers, such as [3, 5, 7]")
        if nodes < 1 or stem < 1:
            raise SpecError(f"nodes={nodes} and stem={stem} must be above 0", where=where)
        shape = _unet(nodes) if cells is None else cells
        if search != "blocks" and cells is not None:
            raise SpecError("cells are given, and are searched", where=where, fix="leave them out, or search: blocks")
        if len(shape) != nodes or set(shape) - set("dnu"):
            raise SpecError(f"cells is {shape!r}", where=where, fix=f"write {nodes} letters of d, n and u")
        self.search: Search = search
        self.cells, self.stem, self.published_output = shape, stem, published_output
        self._kernel = sides[0]
        blocks = [f"{block}_{side}" for block in _BLOCKS for side in sides]
        if search == "topology":
            options = ["d", "n", "u"]
        elif search == "blocks":
            options = sorted([*blocks, "ide"], key=natural_key)
        else:
            genes = [f"{block[:3]}_{cell}{block[3:]}" for block in blocks for cell in "dnu"]
            options = sorted([*genes, *(f"ide_{cell}" for cell in "dnu")], key=natural_key)
        digits = len(str(nodes - 1))
        super().__init__(
            "qnas.segmentation", [Choice(f"node{node:0{digits}d}", tuple(options)) for node in range(nodes)]
        )

    def genes(self, architecture: Architecture) -> tuple[Gene, ...]:
        """Returns the genes of an architecture, whatever is searched; their cells are not repaired."""
        genotype = architecture.genotype
        assert isinstance(genotype, tuple)
        return self._genes(genotype)

    def layers(self, architecture: Architecture) -> tuple[Layer, ...]:
        """Returns the layers that are built, with their repaired cells and skips."""
        return decode(self.genes(architecture), self.stem)

    def canonical(self, genotype: tuple[Genotype, ...]) -> Genotype:
        """The layers that are built, each with its skip."""
        layers = decode(self._genes(genotype), self.stem)
        return tuple([str(layer.gene) if layer.skip is None else f"{layer.gene}+{layer.skip}" for layer in layers])

    def graph(self, architecture: Architecture) -> Graph:
        """The stem and the layers, with the skips as edges of their own."""
        layers = self.layers(architecture)
        edges = [(0, 1)]
        for position, layer in enumerate(layers):
            edges.append((layer.source + 2, position + 2))
            if layer.skip is not None and layer.skip != layer.source:
                edges.append((layer.skip + 2, position + 2))
        edges.append((len(layers) + 1, len(layers) + 2))
        return Graph(("input", "stem", *(str(layer.gene) for layer in layers), "output"), tuple(edges))

    def workload(self, architecture: Architecture, task: Task) -> Workload:
        """The workload that would be read off the built network."""
        layers = self.layers(architecture)
        return segmentation_workload(layers, task.input_shape, task.outputs, self.stem, self.published_output)

    def check_inputs(self, inputs: Inputs) -> None:
        """Refuses everything but one slice or volume.

        Raises:
            SpecError: The networks cannot take such inputs.
        """
        if not inputs.is_plain or len(inputs.shape) not in (3, 4):
            raise SpecError(f"expected one slice (C, H, W) or volume (C, X, Y, Z), got {inputs}")

    def build(self, architecture: Architecture, task: Task) -> Any:
        """A `nasplug_qnas.segmentation.network.SegNetwork` of as many dimensions as the task's inputs have."""
        from nasplug_qnas.segmentation.network import SegNetwork

        return SegNetwork(
            self.genes(architecture),
            task.input_shape[0],
            task.outputs,
            len(task.input_shape) - 1,
            self.stem,
            self.published_output,
        )

    def _genes(self, genotype: tuple[Genotype, ...]) -> tuple[Gene, ...]:
        if self.search == "topology":
            return tuple(Gene.parse(f"vgg_{cell}_{self._kernel}") for cell in genotype)
        if self.search == "joint":
            return tuple(Gene.parse(str(gene)) for gene in genotype)
        pairs = zip(genotype, self.cells, strict=True)
        return tuple(Gene.parse(f"{str(block)[:3]}_{cell}{str(block)[3:]}") for block, cell in pairs)


def _unet(nodes: int) -> str:
    """The shape of a U-Net of so many nodes: the published one of ten, and others as alike as can be."""
    if nodes == len(UNET_CELLS):
        return UNET_CELLS
    steps = min(4, max(0, (nodes - 1) // 2))
    rest = nodes - 2 * steps
    return "n" * (rest // 2) + "d" * steps + "u" * steps + "n" * (rest - rest // 2)
