"""Random damage to study files: bits, pages, rows, logs."""

from __future__ import annotations

import json
import random
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import nasplug as nas
from nasplug.contract.errors import NasplugError, StorageError
from nasplug.ledger.seal import row_checksum, seal_row
from nasplug.ledger.sqlite import SQLiteStorage
from nasplug.run.api import run_spec
from nasplug.run.spec import RunSpec
from tests.faults.studies import Sample, fingerprint
from tests.faults.tally import Hung, Tally, limit

KEYS = {
    "meta": ("key", "value"),
    "trials": ("number", "state", "record"),
    "snapshot": ("id", "state"),
    "work": ("key", "outcome"),
}
PAGE = 4096

Damage = Callable[[Path, random.Random, Sample], None]


# -- bytes -------------------------------------------------------------------------------------------------------------


def _bytes(path: Path, rng: random.Random, change: Callable[[bytearray], None]) -> None:
    data = bytearray(path.read_bytes())
    if data:
        change(data)
    path.write_bytes(bytes(data))


def flip_bits(path: Path, rng: random.Random, sample: Sample) -> None:
    def change(data: bytearray) -> None:
        for _ in range(rng.choice((1, 1, 1, 2, 8, 64))):
            data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)

    _bytes(path, rng, change)


def flip_header(path: Path, rng: random.Random, sample: Sample) -> None:
    def change(data: bytearray) -> None:
        data[rng.randrange(min(100, len(data)))] = rng.randrange(256)

    _bytes(path, rng, change)


def flip_schema(path: Path, rng: random.Random, sample: Sample) -> None:
    def change(data: bytearray) -> None:
        data[rng.randrange(100, min(PAGE, len(data)))] = rng.randrange(256)

    _bytes(path, rng, change)


def overwrite(path: Path, rng: random.Random, sample: Sample) -> None:
    def change(data: bytearray) -> None:
        start, length = rng.randrange(len(data)), rng.choice((1, 16, 512, PAGE))
        filling = rng.choice((b"\0", b"\xff", b"a"))
        end = min(len(data), start + length)
        data[start:end] = filling * (end - start)

    _bytes(path, rng, change)


def truncate(path: Path, rng: random.Random, sample: Sample) -> None:
    data = path.read_bytes()
    keep = rng.randrange(len(data)) if rng.random() < 0.5 else rng.randrange(len(data) // PAGE + 1) * PAGE
    path.write_bytes(data[:keep])


def append(path: Path, rng: random.Random, sample: Sample) -> None:
    with path.open("ab") as file:
        file.write(rng.randbytes(rng.choice((1, 100, PAGE, 3 * PAGE))))


# -- pages -------------------------------------------------------------------------------------------------------------


def _pages(path: Path, change: Callable[[list[bytes]], None]) -> None:
    data = path.read_bytes()
    pages = [data[i : i + PAGE] for i in range(0, len(data), PAGE)]
    change(pages)
    path.write_bytes(b"".join(pages))


def swap_pages(path: Path, rng: random.Random, sample: Sample) -> None:
    def change(pages: list[bytes]) -> None:
        one, other = rng.randrange(len(pages)), rng.randrange(len(pages))
        pages[one], pages[other] = pages[other], pages[one]

    _pages(path, change)


def duplicate_page(path: Path, rng: random.Random, sample: Sample) -> None:
    def change(pages: list[bytes]) -> None:
        pages[rng.randrange(len(pages))] = pages[rng.randrange(len(pages))]

    _pages(path, change)


def delete_page(path: Path, rng: random.Random, sample: Sample) -> None:
    _pages(path, lambda pages: pages.pop(rng.randrange(len(pages))))


def older_page(path: Path, rng: random.Random, sample: Sample) -> None:
    """A page as it was earlier, as a disk leaves it that lost a write."""
    if not sample.older:
        return flip_bits(path, rng, sample)
    older = rng.choice(sample.older)

    def change(pages: list[bytes]) -> None:
        index = rng.randrange(len(pages))
        page = older[index * PAGE : (index + 1) * PAGE]
        if len(page) == PAGE:
            pages[index] = page

    return _pages(path, change)


# -- rows --------------------------------------------------------------------------------------------------------------


def _sql(path: Path, change: Callable[[sqlite3.Connection], None]) -> None:
    with closing(sqlite3.connect(path)) as connection:
        change(connection)
        connection.commit()


def _some(connection: sqlite3.Connection, rng: random.Random) -> tuple[str, tuple]:
    tables = [table for table in KEYS if connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]]
    table = rng.choice(tables)
    return table, rng.choice(connection.execute(f"SELECT * FROM {table}").fetchall())


def edit_row(path: Path, rng: random.Random, sample: Sample) -> None:
    """Another value, and the old checksum."""

    def change(connection: sqlite3.Connection) -> None:
        table, row = _some(connection, rng)
        column = rng.choice(KEYS[table][1:])
        text = row[[*KEYS[table]].index(column)]
        at = rng.randrange(len(text))
        new = text[:at] + rng.choice('0123456789abcdefghij{}[]",:. ') + text[at + 1 :]
        connection.execute(f"UPDATE {table} SET {column} = ? WHERE {KEYS[table][0]} = ?", (new, row[0]))

    _sql(path, change)


def edit_type(path: Path, rng: random.Random, sample: Sample) -> None:
    """A value of another type."""

    def change(connection: sqlite3.Connection) -> None:
        table, row = _some(connection, rng)
        column = rng.choice([*KEYS[table][1:], "checksum"])
        value = rng.choice((7, 1.5, b"\xff\xfe\x00", "", "\ud83d".encode("utf-8", "surrogatepass"), "x" * 100))
        connection.execute(f"UPDATE {table} SET {column} = ? WHERE {KEYS[table][0]} = ?", (value, row[0]))

    _sql(path, change)


def edit_row_and_checksum(path: Path, rng: random.Random, sample: Sample) -> None:
    """Another value with a checksum that fits it; the seal does not."""

    def change(connection: sqlite3.Connection) -> None:
        table, row = _some(connection, rng)
        fields = list(row[:-1])
        text = fields[-1]
        at = rng.randrange(len(text))
        fields[-1] = text[:at] + rng.choice("0123456789abc") + text[at + 1 :]
        marks = ", ".join("?" * len(row))
        connection.execute(f"INSERT OR REPLACE INTO {table} VALUES ({marks})", (*fields, row_checksum(*fields)))

    _sql(path, change)


def delete_rows(path: Path, rng: random.Random, sample: Sample) -> None:
    def change(connection: sqlite3.Connection) -> None:
        table, row = _some(connection, rng)
        sign = rng.choice(("=", "=", ">=", "<="))
        connection.execute(f"DELETE FROM {table} WHERE {KEYS[table][0]} {sign} ?", (row[0],))

    _sql(path, change)


def exchange_rows(path: Path, rng: random.Random, sample: Sample) -> None:
    """The whole record of one trial, checksum included, in the place of another."""

    def change(connection: sqlite3.Connection) -> None:
        rows = connection.execute("SELECT number, state, record, checksum FROM trials").fetchall()
        if len(rows) > 1:
            one, other = rng.sample(rows, 2)
            connection.execute(
                "UPDATE trials SET state = ?, record = ?, checksum = ? WHERE number = ?", (*other[1:], one[0])
            )
        else:
            connection.execute("DELETE FROM trials")

    _sql(path, change)


def add_rows(path: Path, rng: random.Random, sample: Sample) -> None:
    def change(connection: sqlite3.Connection) -> None:
        fields = rng.choice((("extra", '"x"'), ("spec2", "{}"), ("", "null")))
        connection.execute("INSERT OR REPLACE INTO meta VALUES (?, ?, ?)", (*fields, row_checksum(*fields)))

    _sql(path, change)


def change_tables(path: Path, rng: random.Random, sample: Sample) -> None:
    def change(connection: sqlite3.Connection) -> None:
        table = rng.choice([*KEYS, "seal"])
        statement = rng.choice(
            (
                f"DROP TABLE {table}",
                f"DELETE FROM {table}",
                f"ALTER TABLE {table} RENAME TO other",
                "DELETE FROM seal",
                "UPDATE seal SET rows = rows + 1",
                f"PRAGMA user_version = {rng.choice((0, 1, 3, 99))}",
                f"PRAGMA application_id = {rng.randrange(1000)}",
            )
        )
        connection.execute(statement)

    _sql(path, change)


def foreign(path: Path, rng: random.Random, sample: Sample) -> None:
    """A file of somebody else."""
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute("CREATE TABLE mine (x)")
        other = connection.serialize()
    path.write_bytes(
        rng.choice((b"", b"notes", b"SQLite format 3\x00", rng.randbytes(9000), other, b"PK\x03\x04" * 99))
    )
    Path(f"{path}-wal").unlink(missing_ok=True)


# -- the log -----------------------------------------------------------------------------------------------------------


def log_bits(path: Path, rng: random.Random, sample: Sample) -> None:
    flip_bits(_log(path), rng, sample)


def log_cut(path: Path, rng: random.Random, sample: Sample) -> None:
    log = _log(path)
    data = log.read_bytes()
    log.write_bytes(data[: rng.randrange(len(data) + 1)])


def log_frames(path: Path, rng: random.Random, sample: Sample) -> None:
    """Frames of the log exchanged, doubled or taken out."""
    log = _log(path)
    data = log.read_bytes()
    head, size = data[:32], PAGE + 24
    frames = [data[i : i + size] for i in range(32, len(data), size)]
    if frames:
        one, other = rng.randrange(len(frames)), rng.randrange(len(frames))
        action = rng.choice(("swap", "double", "drop"))
        if action == "swap":
            frames[one], frames[other] = frames[other], frames[one]
        elif action == "double":
            frames[one] = frames[other]
        else:
            del frames[one]
    log.write_bytes(head + b"".join(frames))


def log_lost(path: Path, rng: random.Random, sample: Sample) -> None:
    _log(path).unlink()


def log_noise(path: Path, rng: random.Random, sample: Sample) -> None:
    Path(f"{path}-wal").write_bytes(rng.randbytes(rng.choice((0, 10, 32, 5000))))


def index_noise(path: Path, rng: random.Random, sample: Sample) -> None:
    """The index of the log, which no file needs."""
    Path(f"{path}-shm").write_bytes(rng.randbytes(rng.choice((0, 100, 32768))))


def _log(path: Path) -> Path:
    log = Path(f"{path}-wal")
    if not log.exists():
        log.write_bytes(b"")
    return log if log.stat().st_size else path


BYTES: tuple[Damage, ...] = (flip_bits, flip_header, flip_schema, overwrite, truncate, append)
PAGES: tuple[Damage, ...] = (swap_pages, duplicate_page, delete_page, older_page)
ROWS: tuple[Damage, ...] = (
    edit_row, edit_type, edit_row_and_checksum, delete_rows, exchange_rows, add_rows, change_tables, foreign,
)  # fmt: skip
LOGS: tuple[Damage, ...] = (log_bits, log_cut, log_frames, log_lost, log_noise, index_noise)
DAMAGES: tuple[Damage, ...] = BYTES + PAGES + ROWS + LOGS


def corrupt(sample: Sample, damage: Damage, seed: int, folder: Path, tally: Tally) -> None:
    """Damages a copy of a study in one way, reads it, and counts what came of it.

    Args:
        sample: Study to copy.
        damage: What to do to it.
        seed: Seed of the damage.
        folder: Folder for the copy.
        tally: Gets the outcome.
    """
    rng = random.Random(seed)
    kind = f"study file: {damage.__name__.replace('_', ' ')}"
    note = f"{sample.folder.name}, seed {seed}"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(sample.folder, folder)
    path = folder / "s.sqlite"
    damage(path, rng, sample)
    before = _contents(path)
    way = rng.choice(("read", "read", "load", "write", "run"))
    try:
        with limit(30):
            if way == "load":
                nas.load_study(path)
            elif way == "write":
                SQLiteStorage(path).close()
            elif way == "run" and rng.random() < 0.2:
                run_spec(_spec(sample, path))
                way = "ran"
            found = fingerprint(path)
    except Hung:
        tally.add(kind, "hung", f"{note}, {way}")
        return
    except NasplugError as error:
        if not isinstance(error, StorageError):
            tally.add(kind, "traceback", f"{note}, {way}: {type(error).__name__}: {error}")
        elif way in ("read", "load", "write") and _contents(path) != before:
            tally.add(kind, "changed", f"{note}, {way}: {error}")
        else:
            tally.add(kind, "refused")
        return
    except BaseException as error:
        tally.add(kind, "traceback", f"{note}, {way}: {type(error).__name__}: {error}")
        return
    if way == "ran":  # whatever prefix there was, the end is the same
        same = _ended(path) == _ended(sample.folder / "s.sqlite") if not sample.history else True
        tally.add(kind, "identical" if same else "different", f"{note}, resumed")
        return
    if found == sample.state:
        tally.add(kind, "identical")
    elif found in sample.history:
        tally.add(kind, "earlier")
    elif not before.get(path.name):
        tally.add(kind, "earlier")  # an empty file is a study that has not begun
    else:
        tally.add(kind, "different", f"{note}, {way}")


def _spec(sample: Sample, path: Path) -> RunSpec:
    reader = SQLiteStorage(sample.folder / "s.sqlite", writable=False)
    try:
        plain = reader.meta()["spec"]
    finally:
        reader.close()
    plain["run"]["storage"] = str(path)
    return RunSpec.parse(plain)


def _ended(path: Path) -> list[str]:
    trials = nas.load_study(path).trials
    return [json.dumps({**trial.to_json(), "seconds": 0}, sort_keys=True) for trial in trials]


def _contents(path: Path) -> dict[str, bytes]:
    """The study and its log; lock and index come and go."""
    files = [path, Path(f"{path}-wal")]
    return {file.name: file.read_bytes() for file in files if file.exists() and (file == path or file.stat().st_size)}


def forge(sample: Sample, seed: int, folder: Path, tally: Tally) -> None:
    """Changes values and makes all checksums and seals fit, as only somebody who means it can; nothing may break."""
    rng = random.Random(seed)
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(sample.folder, folder)
    path = folder / "s.sqlite"
    _sql(path, lambda connection: _forge(connection, rng))
    note = f"{sample.folder.name}, seed {seed}"
    try:
        with limit(30):
            nas.load_study(path)
            study = nas.load_study(path)
            study.candidates()
            repr(study)
        tally.add("study file: forged", "survived")
    except Hung:
        tally.add("study file: forged", "hung", note)
    except NasplugError:
        tally.add("study file: forged", "refused")
    except BaseException as error:
        tally.add("study file: forged", "traceback", f"{note}: {type(error).__name__}: {error}")


def _forge(connection: sqlite3.Connection, rng: random.Random) -> None:
    table = rng.choice(("meta", "trials"))
    rows = connection.execute(f"SELECT * FROM {table}").fetchall()
    row = rng.choice(rows)
    data = json.loads(row[-2])
    data = _mutated(data, rng)
    fields = [*row[:-2], json.dumps(data)]
    marks = ", ".join("?" * len(row))
    connection.execute(f"INSERT OR REPLACE INTO {table} VALUES ({marks})", (*fields, row_checksum(*fields)))
    sums = [found for (found,) in connection.execute(f"SELECT checksum FROM {table}")]
    digest = 0
    for found in sums:
        digest ^= found
    connection.execute("INSERT OR REPLACE INTO seal VALUES (?, ?, ?, ?)", seal_row(table, len(sums), digest))


ODD = (None, True, -1, 0, 10**30, 1e308, "", "x", "\x1b[31m", "../../etc", [], {}, [[]], {"a": None}, "nan", ["a"] * 3)


def _mutated(data: object, rng: random.Random) -> object:
    if isinstance(data, dict) and data and rng.random() < 0.85:
        key = rng.choice(sorted(data))
        if rng.random() < 0.15:
            return {name: value for name, value in data.items() if name != key}
        return {**data, key: _mutated(data[key], rng)}
    if isinstance(data, list) and data and rng.random() < 0.7:
        index = rng.randrange(len(data))
        return [*data[:index], _mutated(data[index], rng), *data[index + 1 :]]
    return rng.choice(ODD)
