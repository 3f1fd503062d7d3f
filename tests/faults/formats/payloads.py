"""Pieces that strangers put into files: pickles that run something, archives, odd JSON."""

from __future__ import annotations

import io
import json
import pickle
from collections.abc import Iterable
from pathlib import Path
from typing import Any


class Payload:
    """Leaves a file behind when it is unpickled as pickle would do it.

    Args:
        folder: Folder for the file.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[Any, tuple[str, ...]]:
        return Path.touch, (Path(self.folder) / "PWNED",)  # type: ignore[return-value]


def pickles(folder: Path) -> list[tuple[str, bytes]]:
    """Pickles that run something in several ways, and one that builds a bomb of lists."""
    protocols = [(f"pickle {number}", pickle.dumps({"a": Payload(folder)}, number)) for number in (0, 2, 4)]
    marker = str(folder / "PWNED").encode()
    return [
        *protocols,
        ("pickle os.system", b"cos\nsystem\n(S'touch " + marker + b"'\ntR."),
        ("pickle eval", b"c__builtin__\neval\n(S'open(\"" + marker + b'", "w")\'\ntR.'),
        ("pickle instance", b"(S'touch " + marker + b"'\nios\nsystem\n."),
        (
            "pickle stack global",
            b"\x80\x04\x8c\x02os\x8c\x06system\x93\x8c" + bytes([6 + len(marker)]) + b"touch " + marker + b"\x85R.",
        ),
        ("pickle of nothing", pickle.dumps(None)),
        ("pickle without end", pickle.dumps({"a": 1})[:-1]),
        ("pickle of depth", b"(" * 100_000 + b"."),
        ("pickle of a memo", b"\x80\x04j\xff\xff\xff\xff."),
        ("pickle of a length", b"\x80\x04\x8e\xff\xff\xff\xff\xff\xff\xff\x0f."),
    ]


def archive(members: dict[str, bytes], compress: bool = False) -> bytes:
    """A zip file."""
    import zipfile

    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED if compress else zipfile.ZIP_STORED) as made:
        for name, data in members.items():
            made.writestr(name, data)
    return file.getvalue()


ODD: tuple[tuple[str, str], ...] = (
    ("nothing", "null"),
    ("a flag", "true"),
    ("minus one", "-1"),
    ("a fraction", "0.5"),
    ("a text", '"abc"'),
    ("a list", "[1, [2]]"),
    ("a mapping", '{"a": {"b": 1}}'),
    ("NaN", "NaN"),
    ("infinity", "-Infinity"),
    ("a huge number", "9" * 5000),
    ("a large number", "1" + "0" * 30),
    ("1e999", "1e999"),
    ("depth", "[" * 50_000 + "]" * 50_000),
    ("some depth", "[" * 400 + "]" * 400),
    ("half a character", '"\\ud800"'),
    ("an escape", '"\\u001b[31m\\u202e"'),
    ("a path", '"../../../../../etc/passwd"'),
    ("a device", '"/dev/zero"'),
    ("an empty text", '""'),
    ("a long text", f'"{"a" * 100_000}"'),
    ("code", "\"__import__('os').system('touch PWNED')\""),
    ("a class", '{"class_path": "subprocess.Popen", "init_args": {"args": ["touch", "PWNED"]}}'),
    ("a key twice", '{"a": 1, "a": 2}'),
)


def paths(value: object, above: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place in JSON data."""
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [above, *(path for key, item in inside for path in paths(item, (*above, key)))]


def replaced(value: Any, path: tuple[Any, ...], text: str) -> str:
    """JSON data as text with another text in one place."""
    mark = "\x00here\x00"
    if not path:
        return text
    value = json.loads(json.dumps(value))
    at = value
    for key in path[:-1]:
        at = at[key]
    at[path[-1]] = mark
    return json.dumps(value).replace(json.dumps(mark), text)


def odd_json(value: Any, every: int = 7) -> Iterable[tuple[str, str]]:
    """The data with something odd in one place; one in `every` of all combinations."""
    number = 0
    for path in paths(value):
        for what, text in ODD:
            number += 1
            if number % every == 0:
                yield f"{what} at {'.'.join(map(str, path)) or 'the top'}", replaced(value, path, text)


def json_attacks(good: bytes, folder: Path) -> Iterable[tuple[str, bytes]]:
    """Other encodings, other values, other shapes."""
    data = json.loads(good)
    for what, text in odd_json(data, every=max(1, len(paths(data)) * len(ODD) // 150)):
        yield f"with {what}", text.encode()
    for key in data if isinstance(data, dict) else ():
        yield f"without {key}", json.dumps({name: value for name, value in data.items() if name != key}).encode()
    yield "in UTF-16", good.decode().encode("utf-16")
    yield "with a mark", b"\xef\xbb\xbf" + good
    yield "in Latin-1", b'{"a": "\xff"}'
    yield "with a comment", good + b"// a"
    yield "twice", good + good
