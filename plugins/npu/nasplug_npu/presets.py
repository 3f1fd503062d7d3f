"""Configurations by name: from the data file of the package, or from a file of one's own.

A file of one's own is a unit wherever a preset is one. It states the fields that differ from the defaults, or from
those of another unit:

```yaml
based_on: wu32          # a preset, or another file beside this one
source: our second chip
macs: 64
ppu_operations: [maxpool, add, lut]
constants: 28nm.yaml    # beside this file, see nasplug_npu.own_constants
```

`kind: rate` makes it a processor described by rates.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from nasplug.cli.parser import parse_scalar
from nasplug.contract.errors import SpecError, UnknownNameError, did_you_mean
from nasplug_npu.config import NPUConfig
from nasplug_npu.rates import RateConfig

#: Any of the two kinds of configurations.
Config = NPUConfig | RateConfig

_SYSTOLIC = re.compile(r"systolic_([1-9]\d*)x([1-9]\d*)_(ws|os|is)")
_ETHOS = re.compile(r"ethos_(u55|u65|u85)_(\d+)(?:_([a-z]\w*))?")
#: Multipliers of Arm's products with KiB of the memories inside for inputs and for sums, and the system that is meant
#: where a preset's name has none. The U55 and U65 have banks of 1 KiB for both, for each of their cores.
_PRODUCTS: dict[str, tuple[dict[int, tuple[float, float]], str]] = {
    "u55": ({32: (8, 8), 64: (8, 8), 128: (12, 12), 256: (24, 24)}, "deep_embedded"),
    "u65": ({256: (24, 24), 512: (48, 48)}, "mid_end"),
    "u85": ({128: (8, 8), 256: (16, 16), 512: (16, 32), 1024: (16, 64), 2048: (32, 128)}, "flash_low"),
}
#: Words of 16 bytes that a U85 may have under way from memory to memory, by multipliers.
_UNDER_WAY = {128: 64, 256: 104, 512: 128, 1024: 256, 2048: 256}
_FAMILIES = ("systolic", *(f"ethos_{product}" for product in _PRODUCTS))
#: Endings of files that describe a unit.
ENDINGS = (".yaml", ".yml", ".json")
#: Files that may stand on each other.
_DEEPEST = 8


def preset_names() -> tuple[str, ...]:
    """The names of all presets; `systolic_RxC_FLOW` exists for every size."""
    plain = [name for name in _file() if name not in _FAMILIES]
    systolic = [f"systolic_{n}x{n}_{flow}" for n in (8, 16, 32) for flow in ("ws", "os", "is")]
    ethos = [f"ethos_u55_{macs}" for macs in _PRODUCTS["u55"][0]]
    ethos += [f"ethos_u55_{macs}_{system}" for macs in _PRODUCTS["u55"][0] for system in list(_systems("u55"))[1:]]
    ethos += [
        f"ethos_{product}_{macs}_{system}"
        for product in ("u65", "u85")
        for macs in _PRODUCTS[product][0]
        for system in _systems(product)
    ]
    return (*plain, *systolic, *ethos)


def preset(name: str) -> Config:
    """A configuration by name, or from a file whose path ends in one of `ENDINGS`.

    Raises:
        UnknownNameError: There is none of that name.
        SpecError: A file that does not describe a unit, or is not there.
    """
    if name.lower().endswith(ENDINGS):
        return _of_fields(_read(Path(name), 0) | {"name": name}, where=name)
    return _of_fields(_named(name) | {"name": name}, where=f"preset {name}")


def _of_fields(fields: dict[str, Any], where: str) -> Config:
    kinds: dict[str, type[Config]] = {"npu": NPUConfig, "rate": RateConfig}
    kind = fields.pop("kind", "npu")
    if kind not in kinds:
        raise SpecError(f"kind is {kind!r}", where=where, fix=did_you_mean(str(kind), kinds))
    return kinds[kind].from_json(fields)


def _named(name: str) -> dict[str, Any]:
    """The fields of a preset."""
    systolic, ethos = _SYSTOLIC.fullmatch(name), _ETHOS.fullmatch(name)
    if systolic:
        r, c, flow = int(systolic[1]), int(systolic[2]), systolic[3]
        ports = {"weight_port_bits": 8 * max(r, c), "input_port_bits": 8 * max(r, c), "output_port_bits": 8 * c}
        array = {"macs": r * c, "shapes": f"fixed:{r}x{c}x1", "dataflow": f"systolic_{flow}"}
        return _fields("systolic") | array | ports
    if ethos and int(ethos[2]) in _PRODUCTS[ethos[1]][0]:
        sizes, first = _PRODUCTS[ethos[1]]
        system = _systems(ethos[1]).get(ethos[3] or first)
        if system is not None:
            return _ethos(ethos[1], int(ethos[2]), sizes[int(ethos[2])], system)
    if name not in _file() or name in _FAMILIES:
        raise UnknownNameError(
            f"there is no preset {name!r}",
            where="npu",
            fix=f"{did_you_mean(name, preset_names())}; a file of your own ends in {', '.join(ENDINGS)}",
        )
    return _fields(name)


def _ethos(product: str, macs: int, kib: tuple[float, float], system: dict[str, Any]) -> dict[str, Any]:
    """The fields of one of Arm's products in a system."""
    family = {name: value for name, value in _fields(f"ethos_{product}").items() if name != "systems"}
    fields = family | {name: value for name, value in system.items() if name != "is"}
    fields |= {"macs": macs, "input_kb": kib[0], "output_kb": kib[1]}
    if product == "u85":  # four fifths of the bursts that may be under way, each as long as memory takes to answer
        under_way = 0.8 * 16 * _UNDER_WAY[macs] / float(fields["weight_latency"])
        fields["weight_bytes_per_cycle"] = min(float(fields["weight_bytes_per_cycle"]), under_way)
    return fields | {"source": f"{family['source']} System {system['is']}."}


def _systems(product: str) -> dict[str, dict[str, Any]]:
    """Memories and clocks around a product, by name."""
    found: dict[str, dict[str, Any]] = _fields(f"ethos_{product}")["systems"]
    return found


def _read(path: Path, depth: int) -> dict[str, Any]:
    """The fields of a file, on those of what it is based on; paths in it are beside it."""
    import yaml

    where = str(path)
    if depth > _DEEPEST:
        raise SpecError("these files are based on each other", where=where, fix="end the chain in a preset")
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SpecError("cannot read the unit", where=where, why=str(error), fix="check the path") from error
    except (ValueError, RecursionError, yaml.YAMLError) as error:
        why = " ".join(str(error).split())[:200]
        raise SpecError("the unit is not YAML", where=where, why=why) from error
    if not isinstance(data, Mapping) or not all(isinstance(name, str) for name in data):
        raise SpecError("not a configuration of a unit", where=where, fix="write one `field: value` per line")
    fields = dict(data)
    if fields.get("constants"):
        fields["constants"] = str(path.parent / str(fields["constants"]))
    base = fields.pop("based_on", None)
    if base is None:
        return fields
    beside = str(base).lower().endswith(ENDINGS)
    return (_read(path.parent / str(base), depth + 1) if beside else _named(str(base))) | fields


def parse(text: str) -> tuple[Config, str]:
    """Reads `wu32,freq_hz=400e6,unsupported=cpu`: a unit, changes to it, and the policy for unsupported layers.

    The unit is a preset, or a file. Lists stand in brackets: `wu32,ppu_operations=[add,maxpool]`.

    Raises:
        SpecError: An unknown field, a word that is not `field=value`, an impossible value or policy.
        UnknownNameError: No such preset.
    """
    name, *changes = split(text)
    config, fields, policy = preset(name), {}, "error"
    for part in changes:
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


def split(text: str) -> list[str]:
    """Splits at commas outside of brackets."""
    return re.split(r",(?![^\[]*\])(?![^(]*\))", text)


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
