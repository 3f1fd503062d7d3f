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
_ETHOS = re.compile(r"ethos_(u55_(?:32|64|128|256)|u65_(?:256|512))(?:_(\w+))?")
_FAMILIES = ("systolic", "ethos_u55", "ethos_u65")
#: Endings of files that describe a unit.
ENDINGS = (".yaml", ".yml", ".json")
#: Files that may stand on each other.
_DEEPEST = 8


def preset_names() -> tuple[str, ...]:
    """The names of all presets; `systolic_RxC_FLOW` exists for every size."""
    plain = [name for name in _file() if name not in _FAMILIES]
    systolic = [f"systolic_{n}x{n}_{flow}" for n in (8, 16, 32) for flow in ("ws", "os", "is")]
    ethos = [f"ethos_u55_{macs}" for macs in (32, 64, 128, 256)]
    ethos += [f"ethos_u55_{macs}_{system}" for macs in (32, 64, 128, 256) for system in list(_systems("u55"))[1:]]
    ethos += [f"ethos_u65_{macs}_{system}" for macs in (256, 512) for system in _systems("u65")]
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
    if ethos and (ethos[2] or _FIRST[ethos[1][:3]]) in _systems(ethos[1][:3]):
        product, macs = ethos[1][:3], int(ethos[1][4:])
        # SHRAM banks of 1 KiB for each core: 16 up to 64 multipliers, then 24 and 48.
        banks = {32: 16, 64: 16, 128: 24, 256: 48, 512: 96}[macs]
        system = _systems(product)[ethos[2] or _FIRST[product]]
        family = {name: value for name, value in _fields(f"ethos_{product}").items() if name != "systems"}
        own = {"macs": macs, "input_kb": banks / 2, "output_kb": banks / 2}
        source = f"{family['source']} System {system['is']}."
        rest = {name: value for name, value in system.items() if name != "is"}
        return family | rest | own | {"source": source}
    if name not in _file() or name in _FAMILIES:
        raise UnknownNameError(
            f"there is no preset {name!r}",
            where="npu",
            fix=f"{did_you_mean(name, preset_names())}; a file of your own ends in {', '.join(ENDINGS)}",
        )
    return _fields(name)


#: The system that is meant where a preset's name has none.
_FIRST = {"u55": "deep_embedded", "u65": "mid_end"}


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
