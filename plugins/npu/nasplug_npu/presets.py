"""Configurations by name, read from a data file."""

from __future__ import annotations

import re
from functools import lru_cache
from importlib.resources import files
from typing import Any

from nasplug.cli.parser import parse_scalar
from nasplug.contract.errors import SpecError, UnknownNameError, did_you_mean
from nasplug_npu.config import NPUConfig
from nasplug_npu.rates import RateConfig

#: Any of the two kinds of configurations.
Config = NPUConfig | RateConfig

_SYSTOLIC = re.compile(r"systolic_([1-9]\d*)x([1-9]\d*)_(ws|os|is)")
_ETHOS = re.compile(r"ethos_u55_(32|64|128|256)")


def preset_names() -> tuple[str, ...]:
    """The names of all presets; `systolic_RxC_FLOW` exists for every size."""
    plain = [name for name in _file() if name not in ("systolic", "ethos_u55")]
    systolic = [f"systolic_{n}x{n}_{flow}" for n in (8, 16, 32) for flow in ("ws", "os", "is")]
    return (*plain, *systolic, *(f"ethos_u55_{macs}" for macs in (32, 64, 128, 256)))


def preset(name: str) -> Config:
    """A configuration by name.

    Raises:
        UnknownNameError: There is none of that name.
    """
    systolic, ethos = _SYSTOLIC.fullmatch(name), _ETHOS.fullmatch(name)
    if systolic:
        r, c, flow = int(systolic[1]), int(systolic[2]), systolic[3]
        ports = {"weight_port_bits": 8 * max(r, c), "input_port_bits": 8 * max(r, c), "output_port_bits": 8 * c}
        array = {"macs": r * c, "shapes": f"fixed:{r}x{c}x1", "dataflow": f"systolic_{flow}"}
        return NPUConfig.from_json(_fields("systolic") | array | ports | {"name": name})
    if ethos:
        macs = int(ethos[1])
        # SHRAM banks of 1 KiB: 16 up to 64 multipliers, then 24 and 48.
        banks = {32: 16, 64: 16, 128: 24, 256: 48}[macs]
        buffers = {"input_kb": banks / 2, "output_kb": banks / 2}
        return NPUConfig.from_json(_fields("ethos_u55") | buffers | {"macs": macs, "name": name})
    if name not in _file() or name in ("systolic", "ethos_u55"):
        raise UnknownNameError(f"there is no preset {name!r}", where="npu", fix=did_you_mean(name, preset_names()))
    fields = _fields(name) | {"name": name}
    kind = RateConfig if fields.pop("kind", "npu") == "rate" else NPUConfig
    return kind.from_json(fields)


def parse(text: str) -> tuple[Config, str]:
    """Reads `wu32,freq_hz=400e6,unsupported=cpu`: a preset, changes to it, and the policy for unsupported layers.

    Raises:
        SpecError: An unknown field, a word that is not `field=value`, an impossible value or policy.
        UnknownNameError: No such preset.
    """
    name, *changes = text.split(",")
    config, fields, policy = preset(name), {}, "error"
    parts = iter(changes)
    for part in parts:
        key, equals, value = part.partition("=")
        if not equals:
            raise SpecError(
                f"expected field=value, got {part!r} in {text!r}", where="target", fix="write npu:wu32,macs=64"
            )
        if key == "unsupported":
            policy = value
        else:
            fields[key] = parse_scalar(value)
    if policy not in POLICIES:
        raise SpecError(f"unsupported is {policy!r}", where="target", fix=did_you_mean(policy, POLICIES))
    return (config.replace(**fields, name=text) if fields else config), policy


#: What to do about layers that a unit cannot do: stop, give them to a Cortex-M7, or count them and charge nothing.
POLICIES = ("error", "cpu", "zero")


@lru_cache(maxsize=1)
def _file() -> dict[str, dict[str, Any]]:
    import yaml

    found: dict[str, dict[str, Any]] = yaml.safe_load(
        (files("nasplug_npu") / "data" / "presets.yaml").read_text(encoding="utf-8")
    )
    return found


def _fields(name: str) -> dict[str, Any]:
    fields = dict(_file()[name])
    base = fields.pop("based_on", None)
    return fields if base is None else _fields(base) | fields
