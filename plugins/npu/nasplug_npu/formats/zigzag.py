"""Workloads of ZigZag 3 (arXiv 2007.11360) as YAML: one equation with loop sizes per layer."""

from __future__ import annotations

from typing import Any

from nasplug.workloads.workload import Workload

_EQUATION = "O[b][g][k][oy][ox]+=W[g][k][c][fy][fx]*I[b][g][c][iy][ix]"


def to_zigzag(workload: Workload, *, sum_bits: int = 16) -> str:
    """Every layer that multiplies, in the order of execution; each reads the last one before it that does.

    Matrix products of activations are written with a group per matrix; ZigZag then takes the second map for weights.

    Args:
        workload: Any.
        sum_bits: Width of partial sums; they must fit the registers of the hardware, 16 in ZigZag's examples.
    """
    import yaml

    layers: list[dict[str, Any]] = []
    identifier: dict[int, int] = {}
    for row in range(len(workload)):
        if not workload.macs[row]:
            continue
        identifier[row] = len(layers)
        layers.append(_layer(workload, row, identifier, sum_bits))
    return str(yaml.safe_dump(layers, sort_keys=False, default_flow_style=None, width=200))


def _layer(workload: Workload, row: int, identifier: dict[int, int], sum_bits: int) -> dict[str, Any]:
    def of(name: str) -> int:
        return int(getattr(workload, name)[row])

    matmul = workload.operations[row] == "matmul"
    groups = of("n") if matmul else of("groups")
    shared = 1 if matmul else groups
    sizes = {"B": 1 if matmul else of("n"), "G": groups, "K": of("co") // shared, "C": of("ci") // shared}
    sizes |= {"OY": of("ho"), "OX": of("wo"), "FY": of("kh"), "FX": of("kw")}
    rest_y = (of("ho") - 1) * of("sh") + (of("kh") - 1) * of("dh") + 1 - of("hi") - of("ph")
    rest_x = (of("wo") - 1) * of("sw") + (of("kw") - 1) * of("dw") + 1 - of("wi") - of("pw")
    before = identifier.get(_multiplying(workload, row), identifier[row])
    return {
        "id": identifier[row],
        "name": workload.names[row],
        "operator_type": "Conv",
        "equation": _EQUATION,
        "dimension_relations": [f"ix={of('sw')}*ox+{of('dw')}*fx", f"iy={of('sh')}*oy+{of('dh')}*fy"],
        "loop_dims": list(sizes),
        "loop_sizes": list(sizes.values()),
        "operand_precision": {
            "W": of("weight_bits"),
            "I": of("input_bits"),
            "O": sum_bits,
            "O_final": of("output_bits"),
        },
        "operand_source": {"W": identifier[row], "I": before},
        "pr_loop_dims": ["IX", "IY"],
        "pr_loop_sizes": [of("wi"), of("hi")],
        "padding": [[of("pw"), max(rest_x, 0)], [of("ph"), max(rest_y, 0)]],
    }


def _multiplying(workload: Workload, row: int) -> int:
    """The nearest row before, along first sources, that multiplies; -1 for the input of the network."""
    at = workload.sources[row][0] if workload.sources[row] else -1
    while at >= 0 and not workload.macs[at]:
        at = workload.sources[at][0] if workload.sources[at] else -1
    return at
