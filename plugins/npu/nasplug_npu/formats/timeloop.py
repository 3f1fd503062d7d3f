"""Problems of Timeloop v0.4 (github.com/NVlabs/timeloop) as YAML, one document per layer, and back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nasplug.contract.errors import DataError
from nasplug.workloads.builder import INPUT, WorkloadBuilder
from nasplug.workloads.workload import Workload

#: Sizes from here on are refused: products of them would leave 64 bits.
_LARGEST = 1 << 31
#: The shape of a convolution: C input channels, M output channels, RxS kernel, PxQ outputs, N inputs, G groups.
SHAPE: dict[str, Any] = {
    "name": "CNN_Layer",
    "dimensions": ["C", "M", "R", "S", "N", "P", "Q", "G"],
    "coefficients": [
        {"name": "Wstride", "default": 1},
        {"name": "Hstride", "default": 1},
        {"name": "Wdilation", "default": 1},
        {"name": "Hdilation", "default": 1},
    ],
    "data_spaces": [
        {"name": "Weights", "projection": [[["G"]], [["C"]], [["M"]], [["R"]], [["S"]]]},
        {
            "name": "Inputs",
            "projection": [
                [["N"]],
                [["G"]],
                [["C"]],
                [["R", "Wdilation"], ["P", "Wstride"]],
                [["S", "Hdilation"], ["Q", "Hstride"]],
            ],
        },
        {"name": "Outputs", "projection": [[["N"]], [["G"]], [["M"]], [["Q"]], [["P"]]], "read_write": True},
    ],
}


def to_timeloop(workload: Workload) -> str:
    """One YAML document per layer that multiplies; products of matrices are 1x1 convolutions with a group each."""
    import yaml

    documents = []
    for row in range(len(workload)):
        if not workload.macs[row]:
            continue

        def of(name: str, row: int = row) -> int:
            return int(getattr(workload, name)[row])

        matmul = workload.operations[row] == "matmul"
        groups = of("n") if matmul else of("groups")
        shared = 1 if matmul else groups
        instance = {"C": of("ci") // shared, "M": of("co") // shared, "R": of("kw"), "S": of("kh"), "G": groups}
        instance |= {"N": 1 if matmul else of("n"), "P": of("wo"), "Q": of("ho")}
        instance |= {"Wstride": of("sw"), "Hstride": of("sh"), "Wdilation": of("dw"), "Hdilation": of("dh")}
        problem = {"version": 0.4, "shape": {**SHAPE, "name": workload.names[row]}, "instance": instance}
        documents.append({"problem": problem})
    return str(yaml.safe_dump_all(documents, sort_keys=False, default_flow_style=None))


def from_timeloop(text: str | Path) -> Workload:
    """Reads problems as a chain of layers whose inputs have no padding.

    Raises:
        DataError: A document is not a problem of that shape.
    """
    import yaml

    where = str(text) if isinstance(text, Path) else "timeloop"
    network = WorkloadBuilder((1,))
    try:
        source = text.read_text(encoding="utf-8") if isinstance(text, Path) else text
        for document in yaml.safe_load_all(source):
            problem = document["problem"]
            at = {"N": 1, "G": 1, "Wstride": 1, "Hstride": 1, "Wdilation": 1, "Hdilation": 1} | problem["instance"]
            odd = [name for name in at if type(at[name]) is not int or not 1 <= at[name] < _LARGEST]
            if odd:
                raise ValueError(f"{odd[0]} is {at[odd[0]]!r:.80}, not a positive integer")
            kernel = {"kh": at["S"], "kw": at["R"], "sh": at["Hstride"], "sw": at["Wstride"], "groups": at["G"]}
            kernel |= {"dh": at["Hdilation"], "dw": at["Wdilation"]}
            hi = (at["Q"] - 1) * at["Hstride"] + (at["S"] - 1) * at["Hdilation"] + 1
            wi = (at["P"] - 1) * at["Wstride"] + (at["R"] - 1) * at["Wdilation"] + 1
            shapes = {"n": at["N"], "ci": at["C"] * at["G"], "hi": hi, "wi": wi, "co": at["M"] * at["G"]}
            name = problem.get("shape", {}).get("name", "layer")
            single = (hi, wi, at["S"], at["R"], at["G"]) == (1, 1, 1, 1, 1)
            kind = "fc" if single else "conv"
            network.row(kind, [INPUT], name, **shapes, ho=at["Q"], wo=at["P"], **kernel)
    except (KeyError, TypeError, AttributeError, ValueError, RecursionError, OSError, yaml.YAMLError) as error:
        why = f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
        raise DataError("not a Timeloop problem", where=where, why=why) from error
    return network.build()
