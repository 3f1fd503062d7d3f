"""The instructions of the machine: four streams, one for each engine, of words of one width each.

The loader of maps, the loader of weights, the array with its post-process unit, and the storer of maps fetch their own
instructions and run at the same time. Each counts the instructions that it has finished. An instruction begins as soon
as all four counts have reached what its `wait_*` fields say, which is all the synchronisation there is: a tile is
computed when it is loaded, a half of a buffer is loaded anew when what was in it has been computed.

Addresses in buffers and memories of maps count words of 64 bits, and those of weights words of 32. An *entity* is what
one position holds of one block of channels: as many channels as the rows of the array take at once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from nasplug.contract.errors import SpecError


@dataclass(frozen=True)
class Field:
    """A field of an instruction.

    Attributes:
        name: Name of the field.
        bits: Width of the field.
        meaning: Meaning of the field.
        signed: Whether it is two's complement.
    """

    name: str
    bits: int
    meaning: str
    signed: bool = False


#: The engines, in the order of their counts.
ENGINES = ("maps", "weights", "compute", "store")
#: Values of `op`.
END, GO = 0, 1
#: Values of `mode`: sums of products over all channels of blocks, channel by channel, or the largest of a window.
SUMS, DEPTHWISE, LARGEST = 0, 1, 2
#: Values of `post`: sums as they are, by a line, by comparisons, or codes as they are.
RAW, LINE, STEPS, PASS = 0, 1, 2, 3
#: Where words of the memory of weights go, in this order.
TO_WEIGHTS, TO_RECORDS, TO_MASK = 0, 1, 2

_COMMON = (
    Field("op", 1, "0 ends the stream, 1 is done when all counts have come"),
    *(Field(f"wait_{name}", 12, f"instructions that the engine `{name}` must have finished") for name in ENGINES),
)
_RUNS = (
    Field("memory", 20, "address in the memory of maps"),
    Field("buffer", 13, "address in the buffer"),
    Field("runs", 10, "pieces that are contiguous in memory"),
    Field("words", 13, "words of a piece; the memory moves whole bursts"),
    Field("stride", 16, "words from one piece to the next in memory"),
)
INSTRUCTIONS: dict[str, tuple[Field, ...]] = {
    "maps": (*_COMMON, *_RUNS),
    "weights": (
        *_COMMON,
        Field("memory", 20, "address in the memory of weights"),
        Field("words", 18, "words of weights; the memory moves whole bursts"),
        Field("row", 12, "their first row"),
        Field("record_words", 14, "words of records for the post-process unit, which follow"),
        Field("record_row", 12, "their first row"),
        Field("record_width", 8, "words of records that a row takes"),
        Field("mask_words", 11, "words of masks of weights that are not zero, which follow"),
        Field("mask_row", 10, "their first row"),
    ),
    "store": (*_COMMON, *_RUNS, Field("buffer_stride", 13, "words from one piece to the next in the buffer")),
    "compute": (
        *_COMMON,
        Field("mode", 2, "0 sums of products, 1 depthwise, 2 largest of a window"),
        Field("signed", 1, "whether inputs are two's complement"),
        Field("input_split", 2, "inputs of 8, 4 or 2 bits: 0, 1, 2"),
        Field("weight_split", 2, "weights of 8, 4 or 2 bits: 0, 1, 2"),
        Field("skip", 1, "whether steps follow the mask"),
        Field("chunks", 10, "groups of output channels that the array computes at once"),
        Field("rounds", 13, "groups of output positions that the array computes at once"),
        Field("positions", 16, "output positions"),
        Field("rows_of_kernel", 5, "height of the kernel"),
        Field("columns_of_kernel", 5, "width of the kernel"),
        Field("blocks", 9, "blocks of input channels that are summed"),
        Field("origin", 18, "entity that the first tap of the first position reads", signed=True),
        Field("y", 9, "its row among those in the buffer", signed=True),
        Field("x", 9, "its column", signed=True),
        Field("height", 9, "rows in the buffer; above and below is padding"),
        Field("width", 9, "columns of a row; left and right is padding"),
        Field("stride", 4, "rows and columns between two positions"),
        Field("dilation", 4, "rows and columns between two taps"),
        Field("next_block", 16, "entities from a block to the next", signed=True),
        Field("next_column", 18, "entities from the last block of a tap to the next tap", signed=True),
        Field("next_row", 18, "entities from the last tap of a row of the kernel to the next row", signed=True),
        Field("out_width", 9, "output positions in a row"),
        Field("one", 16, "entities from a position to the next in its row", signed=True),
        Field("one_wrapped", 18, "entities from the last position of a row to the next row", signed=True),
        Field("jump_x", 9, "positions that a round goes on in its row"),
        Field("jump_y", 9, "rows that a round goes on"),
        Field("jump", 18, "entities that a round goes on", signed=True),
        Field("jump_wrapped", 18, "the same where the row ends between", signed=True),
        Field("every", 8, "chunks that read the same blocks"),
        Field("next_base", 18, "entities from their blocks to those of the next chunks", signed=True),
        Field("part", 8, "channels from a chunk to the next within a block"),
        Field("weights", 17, "place of the first weights, in columns of 8 bits"),
        Field("mask", 16, "place of the first bit of the mask"),
        Field("post", 2, "0 sums as they are, 1 a line, 2 comparisons, 3 codes as they are"),
        Field("out_split", 2, "outputs of 8, 4 or 2 bits: 0, 1, 2"),
        Field("thresholds", 4, "comparisons of a channel"),
        Field("exceptions", 3, "exceptions of a line"),
        Field("double", 1, "whether two codes lie between neighbouring levels"),
        Field("zero", 8, "code that stands for 0: what is stored is the code minus it"),
        Field("record", 12, "row of the first record"),
        Field("quads", 6, "groups of lanes of the post-process unit in a chunk"),
        Field("last_quads", 6, "the same in the last chunk"),
        Field("out", 18, "entity of the first output"),
        Field("out_bit", 7, "its first bit in the entity"),
        Field("out_next_block", 16, "entities from a block of outputs to the next"),
        Field("out_next_row", 18, "entities from the last output of a row to the first of the next", signed=True),
    ),
}
#: Bits of an instruction of each engine.
WIDTHS = {engine: sum(field.bits for field in fields) for engine, fields in INSTRUCTIONS.items()}


def encode(engine: str, values: Mapping[str, int]) -> int:
    """One instruction as a number, the first field lowest; fields that are not given are 0.

    Args:
        engine: Engine that it is for.
        values: Values of fields by name.

    Raises:
        SpecError: A field does not exist, or its value needs more bits than it has.
    """
    known = {field.name for field in INSTRUCTIONS[engine]}
    for name in values:
        if name not in known:
            raise SpecError(f"unknown field {name!r}", where=f"instruction for {engine}", fix=", ".join(known))
    word = at = 0
    for field in INSTRUCTIONS[engine]:
        value = int(values.get(field.name, 0))
        low, high = (-(1 << field.bits - 1), 1 << field.bits - 1) if field.signed else (0, 1 << field.bits)
        if not low <= value < high:
            raise SpecError(
                f"{field.name} is {value}, and has {field.bits} bits",
                where=f"instruction for {engine}",
                why=f"it is the {field.meaning}",
                fix="a layer this large must be cut into more tiles, or does not run on the machine",
            )
        word |= (value & (1 << field.bits) - 1) << at
        at += field.bits
    return word


def decode(engine: str, word: int) -> dict[str, int]:
    """The inverse of `encode`.

    Args:
        engine: Engine that it is for.
        word: The instruction.
    """
    found: dict[str, int] = {}
    for field in INSTRUCTIONS[engine]:
        value = word & (1 << field.bits) - 1
        word >>= field.bits
        found[field.name] = value - (1 << field.bits) if field.signed and value >> field.bits - 1 else value
    return found


def table(engine: str) -> list[Sequence[str]]:
    """Rows of a table of the fields: name, bits, meaning.

    Args:
        engine: Engine that it is for.
    """
    return [(field.name, f"{field.bits}{' signed' * field.signed}", field.meaning) for field in INSTRUCTIONS[engine]]
