"""What every exporter must keep to."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import pytest

from nasplug.contract.errors import NasplugError
from nasplug.export.exporter import Found
from nasplug.testing.found import KINDS, example_found
from nasplug.testing.networks import fingerprint
from nasplug.testing.randomness import untouched_random_state


class ExporterConformance:
    """Subclass it, give `make_exporter`, and `answer` where somebody can run what it writes.

    Attributes:
        kinds: Networks that it must be able to write, of `plain` (a batch of numbers), `image` (with preprocessing and
            classes), `tokens` (integers) and `named` (two inputs by name). What it cannot write it must refuse.
    """

    kinds: ClassVar[tuple[str, ...]] = ("plain", "image")

    def make_exporter(self) -> Any:
        """Returns a fresh exporter, configured the same way every time."""
        raise NotImplementedError("give make_exporter()")

    def answer(self, written: Mapping[str, Path], inputs: tuple[Any, ...], named: Mapping[str, Any]) -> Any:
        """Returns what the written network answers to the network's own inputs, as a tensor.

        Args:
            written: Files that the exporter wrote.
            inputs: Inputs by position, before any preprocessing is taken off.
            named: Inputs by name.

        Returns:
            The answer, or None if the format cannot be run, or takes other inputs.
        """
        return None

    def export(self, kind: str, folder: Path, **options: Any) -> tuple[Found, Mapping[str, Path]]:
        """Exports a small network of a kind."""
        found = example_found(kind, **options)
        folder.mkdir(parents=True, exist_ok=True)
        return found, self.make_exporter().export(found, folder)

    def test_it_names_every_file_that_it_writes(self, tmp_path: Path) -> None:
        """The answer has the path of each file by what it is; all lie in the folder, and none is left out."""
        for kind in self.kinds:
            folder = tmp_path / kind / "deep"
            _, written = self.export(kind, folder)
            assert written, "it wrote nothing"
            assert all(isinstance(name, str) and name for name in written), written
            assert all(isinstance(path, Path) for path in written.values()), written
            missing = [str(path) for path in written.values() if not path.is_file()]
            assert not missing, f"{missing} were named and are not there"
            there = {path.resolve() for path in folder.rglob("*") if path.is_file()}
            assert {path.resolve() for path in written.values()} == there, "files and answer differ"
            outside = [path for path in (tmp_path / kind).iterdir() if path != folder]
            assert not outside, f"it wrote outside its folder: {outside}"

    def test_it_keeps_other_files(self, tmp_path: Path) -> None:
        """Another exporter may have written into the folder before."""
        (tmp_path / "other.txt").write_text("of another exporter")
        self.export(self.kinds[0], tmp_path)
        assert (tmp_path / "other.txt").is_file(), "a file of another exporter is gone"
        assert (tmp_path / "other.txt").read_text() == "of another exporter"

    def test_it_replaces_an_earlier_export(self, tmp_path: Path) -> None:
        """The files of a second export are those of a first one into an empty folder; nothing is carried over."""
        kind = self.kinds[0]
        exporter = self.make_exporter()
        first, second = example_found(kind, width=3), example_found(kind, width=5)
        (tmp_path / "used").mkdir()
        (tmp_path / "fresh").mkdir()
        exporter.export(first, tmp_path / "used")
        again = exporter.export(second, tmp_path / "used")
        fresh = self.make_exporter().export(second, tmp_path / "fresh")
        assert set(again) == set(fresh)
        sizes = {name: (again[name].stat().st_size, fresh[name].stat().st_size) for name in fresh}
        # Times, paths and compression may differ by a little; a network of another width by more.
        off = {name: pair for name, pair in sizes.items() if abs(pair[0] - pair[1]) > 64}
        assert not off, f"the second export is not that of the second network: {off}"

    def test_it_changes_nothing(self, tmp_path: Path) -> None:
        """Weights, mode, type and device of the network stay, and no random number is drawn: others are asked too."""
        for kind in self.kinds:
            found = example_found(kind)
            before = fingerprint(found.network)
            folder = tmp_path / kind
            folder.mkdir()
            with untouched_random_state("the exporter"):
                self.make_exporter().export(found, folder)
            assert fingerprint(found.network) == before, "the network is not what it was"
            assert not found.network.training, "the network is in training mode"

    def test_a_network_without_classes_and_preprocessing(self, tmp_path: Path) -> None:
        """Tasks need not say anything of either."""
        if "plain" not in self.kinds:
            pytest.skip("writes no plain networks")
        found, written = self.export("plain", tmp_path)
        assert not found.classes
        assert written

    def test_the_written_network_answers_the_same(self, tmp_path: Path) -> None:
        """Where it can be run, for batches of one and of several, it answers what the network answers."""
        tried = 0
        for kind in self.kinds:
            found, written = self.export(kind, tmp_path / kind)
            for batch in (1, 3):
                inputs, named = found.inputs.example(batch, seed=batch)
                answer = self.answer(written, inputs, named)
                if answer is None:
                    continue
                expected = found.network(*inputs, **named).detach()
                assert tuple(answer.shape) == tuple(expected.shape), (kind, batch)
                size = float(expected.abs().max())
                assert float((answer - expected).abs().max()) <= 1e-3 * max(size, 1e-6), (kind, batch)
                tried += 1
        if not tried:
            pytest.skip("give answer(), so that what was written can be run")

    def test_what_it_cannot_write_is_refused(self, tmp_path: Path) -> None:
        """A network of another kind gives its files, or one NasplugError that says why; never half of the files."""
        for kind in KINDS:
            if kind in self.kinds:
                continue
            folder = tmp_path / kind
            with contextlib.suppress(NasplugError):
                _, written = self.export(kind, folder)
                assert all(path.is_file() for path in written.values()), written

    def test_an_unwritable_folder_is_an_error(self, tmp_path: Path) -> None:
        """Where a file cannot be written, the person hears of it."""
        target = tmp_path / "folder"
        target.write_text("this is a file")
        with pytest.raises((OSError, NasplugError)):
            self.make_exporter().export(example_found(self.kinds[0]), target)
