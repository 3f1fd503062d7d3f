"""The record files of NAS-Bench-101: framing, message, cells, and what happens with damaged ones."""

from __future__ import annotations

import math
import struct

import numpy as np
import pytest
from nasplug_tables.readers import read_table
from nasplug_tables.readers.model_metrics import Evaluation, parse
from nasplug_tables.readers.tfrecord import masked_crc32c, read_records
from nasplug_tables.spaces.nasbench101.cells import OPERATIONS, Cell, canonical, module_hash, parameters
from nasplug_tables.table import Table
from official_files import crc32c, evaluation, masked, model_metrics, tfrecord, training

from nasplug.contract.errors import DataError

#: The first cell of the benchmark's files, and three small ones.
FIRST = Cell(1_205_349, (0, 2, 0, 0, 1))
CELLS = [FIRST, Cell(0b1, ()), Cell(0b101, (1,)), Cell(0b111, (2,))]


def matrix_of(cell: Cell) -> str:
    return "".join(str(entry) for entry in cell.matrix().ravel().tolist())


def names_of(cell: Cell) -> str:
    return ",".join(["input", *(OPERATIONS[digit] for digit in cell.operations), "output"])


def record(cell: Cell, epochs: int, validation: float, test: float, seconds: float, **changes) -> bytes:
    evaluations = [
        evaluation(0, 0, 0.1, 0.1, 0.1),
        evaluation(epochs / 2, seconds / 2, 0.5, 0.5, 0.5, path="/model.ckpt-1"),
        evaluation(epochs, seconds, 1.0, validation, test),
    ]
    given = {
        "name": module_hash(cell),
        "epoch_count": epochs,
        "matrix": matrix_of(cell),
        "operations": names_of(cell),
        "metrics": model_metrics(evaluations, parameters(cell)),
        **changes,
    }
    return training(**given)


@pytest.fixture
def write(tmp_path):
    def of(data: bytes) -> str:
        path = tmp_path / "nasbench.tfrecord"
        path.write_bytes(data)
        return str(path)

    return of


def test_a_small_file(write):
    trainings = [
        record(cell, epochs, 0.9 + 0.01 * place + 0.001 * run, 0.8 + 0.01 * place, 100.0 * epochs)
        for place, cell in enumerate(CELLS)
        for epochs in (4, 108)
        for run in range(3 if epochs == 108 else 1)
    ]
    table = read_table("nasbench101", write(tfrecord(trainings)))
    assert len(table) == 4
    hashes = table.column("hash64")
    assert (np.diff(hashes.astype(object)) > 0).all()  # rows are in the order of the hash
    assert table.info["space"] == "nasbench101"
    assert table.info["unit"] == "fraction"
    results = {(result.metric, result.budget, result.seed) for result in table.results()}
    assert results == {
        (metric, budget, seed)
        for metric in ("val_acc", "test_acc", "train_time")
        for budget, seed in [(4, 0), (108, 0), (108, 1), (108, 2)]
    }
    for place, cell in enumerate(CELLS):
        row = hashes.tolist().index(int(module_hash(cell)[:16], 16))
        found = Cell(int(table.column("adj_bits")[row]), tuple(map(int, table.column("ops")[row].decode())))
        assert found == canonical(cell)
        assert table.column("num_vertices")[row] == cell.vertices
        assert table.column("params")[row] == parameters(cell)
        for run in range(3):
            assert table.column(f"val_acc_108_seed{run}")[row] == 0.9 + 0.01 * place + 0.001 * run
        assert table.column("test_acc_4_seed0")[row] == 0.8 + 0.01 * place
        assert table.column("train_time_4_seed0")[row] == 400.0
    assert table.column("params")[0] == 8_555_530  # published
    assert hashes[0] == 0x00005C142E6F48AC


def test_a_run_that_is_missing_is_nan_and_the_table_goes_through_parquet(write, tmp_path):
    trainings = [record(FIRST, 108, 0.9, 0.8, 1.0), *[record(CELLS[1], 108, 0.7, 0.6, 1.0)] * 2]
    table = read_table("nasbench101", write(tfrecord(trainings)))
    second = table.column("val_acc_108_seed1")
    assert np.isnan(second).tolist() == (table.column("num_vertices") == 7).tolist()
    again = Table.read(table.write(tmp_path / "table.parquet"))
    assert again.info == table.info
    for name, column in table.columns.items():
        np.testing.assert_array_equal(again.column(name), column)
        assert again.column(name).dtype == column.dtype


def test_cells_are_brought_into_canonical_form(write):
    # Two parallel vertices: in whichever order a file has them, it is one cell.
    for cell in (Cell(0b110011, (1, 0)), Cell(0b110011, (0, 1))):
        table = read_table("nasbench101", write(tfrecord([record(cell, 108, 0.9, 0.8, 1.0)])))
        assert table.column("adj_bits").tolist() == [0b110011]
        assert table.column("ops").tolist() == [b"01"]


def test_checksums():
    assert crc32c(b"123456789") == 0xE3069283  # the check value of CRC-32C
    rng = np.random.default_rng(0)
    records = [rng.bytes(int(length)) for length in [9, 0, 1, 300, 12, 12, 8]]
    expected = [struct.unpack("<I", masked(data))[0] for data in records]
    assert masked_crc32c(records).tolist() == expected
    assert masked_crc32c([]).shape == (0,)


def test_records_over_several_batches(tmp_path):
    records = [str(number).encode() * (number % 5) for number in range(9000)]
    framed = {data: tfrecord([data]) for data in set(records)}
    (tmp_path / "file").write_bytes(b"".join(framed[data] for data in records))
    assert list(read_records(tmp_path / "file", "a file")) == records


def test_the_message_against_the_protobuf_library():
    pytest.importorskip("google.protobuf")
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

    file = descriptor_pb2.FileDescriptorProto(name="model_metrics.proto", package="nasbench", syntax="proto2")
    kinds = descriptor_pb2.FieldDescriptorProto
    inner = file.message_type.add(name="EvaluationData")
    names = ["current_epoch", "training_time", "train_accuracy", "validation_accuracy", "test_accuracy"]
    for number, name in enumerate(names, start=1):
        inner.field.add(name=name, number=number, type=kinds.TYPE_DOUBLE, label=kinds.LABEL_OPTIONAL)
    inner.field.add(name="checkpoint_path", number=6, type=kinds.TYPE_STRING, label=kinds.LABEL_OPTIONAL)
    outer = file.message_type.add(name="ModelMetrics")
    outer.field.add(name="evaluation_data", number=1, type=kinds.TYPE_MESSAGE, label=kinds.LABEL_REPEATED,
                    type_name=".nasbench.EvaluationData")  # fmt: skip
    outer.field.add(name="trainable_parameters", number=2, type=kinds.TYPE_INT32, label=kinds.LABEL_OPTIONAL)
    outer.field.add(name="total_time", number=3, type=kinds.TYPE_DOUBLE, label=kinds.LABEL_OPTIONAL)
    outer.field.add(name="later_addition", number=99, type=kinds.TYPE_FIXED32, label=kinds.LABEL_OPTIONAL)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    message = message_factory.GetMessageClass(pool.FindMessageTypeByName("nasbench.ModelMetrics"))()
    first = message.evaluation_data.add(current_epoch=54.0, training_time=883.5, train_accuracy=0.9)
    first.checkpoint_path = "x" * 200
    message.evaluation_data.add(
        current_epoch=108.0, training_time=1769.2, train_accuracy=1.0, validation_accuracy=0.94, test_accuracy=0.93
    )
    message.trainable_parameters, message.total_time, message.later_addition = 32_426_634, 2000.0, 5
    found = parse(message.SerializeToString())
    assert found.parameters == 32_426_634
    assert found.evaluations[1] == Evaluation(108.0, 1769.2, 1.0, 0.94, 0.93)
    assert found.evaluations[0][:3] == (54.0, 883.5, 0.9)
    assert all(math.isnan(value) for value in found.evaluations[0][3:])


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"\x0a\x05\x09", "ends inside field 1"),
        (b"\x19\x00", "ends inside field 3"),
        (b"\x10\xff", "does not end"),
        (b"\x10" + b"\xff" * 12, "does not end"),
        (b"\x0b", "unknown type 3"),
        (b"\x00\x00", "number 0"),
        (b"\x0a\x02\x08\x01", "is not a double"),
    ],
)
def test_damaged_messages(data, says):
    with pytest.raises(ValueError, match=says):
        parse(data)


GOOD = tfrecord([record(FIRST, 108, 0.9, 0.8, 1.0)])


def flipped(position: int) -> bytes:
    return GOOD[:position] + bytes([GOOD[position] ^ 1]) + GOOD[position + 1 :]


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "the file is empty"),
        (GOOD[:-1], "record 0 .* ends inside it"),
        (GOOD + GOOD[:5], "record 1 .* checksum of its length"),
        (flipped(0), "checksum of its length is wrong"),
        (flipped(30), "checksum of its data is wrong"),
        (flipped(len(GOOD) - 1), "checksum of its data is wrong"),
        (b"PAR1" * 40, "checksum of its length is wrong"),
        (tfrecord([b"{}"]), "record 0 is not a training run"),
        (tfrecord([b"not json"]), "record 0 is not a training run"),
    ],
)
def test_damaged_and_foreign_files(write, data, says):
    with pytest.raises(DataError, match=f"(?s){says}"):
        read_table("nasbench101", write(data))


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"name": "0" * 32}, "the hash of its cell is 00005c142e6f48ac74fdcf73e3439874"),
        ({"matrix": "0110"}, "adjacency matrix of 4 entries"),
        ({"matrix": "1" * 49}, "not upper triangular"),
        ({"matrix": "0" * 49}, "not in the search space"),
        ({"operations": "input," + "conv5x5-bn-relu," * 5 + "output"}, "unknown operations: conv5x5-bn-relu"),
        ({"metrics": b"\x0a\x05\x09"}, "ends inside field 1"),
        ({"metrics": model_metrics([evaluation(0, 0, 0, 0, 0)], 8_555_530)}, "1 evaluation instead of three"),
        ({"epoch_count": "many"}, "invalid literal"),
    ],
)
def test_records_that_are_no_trainings(write, changes, says):
    good = record(CELLS[1], 108, 0.9, 0.8, 1.0)
    with pytest.raises(DataError, match=f"(?s)record 1 is not a training run.*{says}"):
        read_table("nasbench101", write(tfrecord([good, record(FIRST, 108, 0.9, 0.8, 1.0, **changes)])))


def test_a_cell_has_one_size(write):
    other = model_metrics([evaluation(0, 0, 0, 0, 0)] * 3, 17)
    data = tfrecord([record(FIRST, 108, 0.9, 0.8, 1.0), record(FIRST, 108, 0.9, 0.8, 1.0, metrics=other)])
    with pytest.raises(DataError, match="17 parameters here and 8555530"):
        read_table("nasbench101", write(data))


def test_a_missing_file():
    with pytest.raises(DataError, match="no such file"):
        read_table("nasbench101", "nowhere.tfrecord")


@pytest.mark.data
def test_published_rows_through_the_format(real_data, write):
    """Real cells and accuracies, written in the official format and read again, give the published rows."""
    table = Table.read(real_data / "nasbench101" / "nasbench101.parquet")
    rows = np.sort(np.random.default_rng(0).choice(len(table), 25, replace=False))
    trainings = []
    for row in rows:
        cell = Cell(int(table.column("adj_bits")[row]), tuple(map(int, table.column("ops")[row].decode())))
        trainings.append(record(cell, 108, math.nan, float(table.column("test_acc_108")[row]), 1.0))
    found = read_table("nasbench101", write(tfrecord(trainings)))
    for name in ("hash64", "num_vertices", "adj_bits", "ops", "params"):
        assert found.column(name).tolist() == table.column(name)[rows].tolist()
    np.testing.assert_array_equal(found.column("test_acc_108_seed0"), table.column("test_acc_108")[rows])
