"""The report on motifs."""

from __future__ import annotations

import json

import pytest
from nasplug_bogk.kernels import WeisfeilerLehman
from nasplug_bogk.motifs import describe, draw, motifs

from nasplug.cli import main
from nasplug.contract.errors import StudyError
from nasplug.spaces.graph import Graph
from nasplug.testing import run_search


@pytest.fixture(scope="module")
def study():
    return run_search("random", trials=80, seed=1)


def test_good_operations_are_found(study):
    order = [motif.text for motif in motifs(study, rounds=0)]
    assert order == ["wide", "middle", "narrow", "skip"]  # as the synthetic problem has it


def test_effects_have_sign_and_unit(study):
    by_text = {motif.text: motif for motif in motifs(study, rounds=0)}
    assert by_text["wide"].effect > 0 > by_text["skip"].effect
    assert by_text["wide"].trials == sum("wide" in t.architecture.genotype for t in study.trials)
    assert "input" not in by_text, "every architecture has it"


def test_the_derivative_is_that_of_the_posterior_mean():
    """On graphs that differ in one count only, the effect is the slope between neighbours."""
    study = run_search("random", trials=120, seed=4)
    effect = {motif.text: motif.effect for motif in motifs(study, rounds=0)}
    # From skip to wide: one less of the one, one more of the other.
    accuracies = {t.architecture.genotype: t.values["val_acc"] for t in study.trials}
    spread = (max(accuracies.values()) - min(accuracies.values())) / 4
    expected = 0.5 / 6 * 0.9 / spread  # the gain of a position, without clashes, in rough standard deviations
    assert 0.4 * expected < effect["wide"] - effect["skip"] < 2.5 * expected


def test_neighbourhoods_are_described():
    embedding = WeisfeilerLehman([2])
    graph = Graph(("input", "conv", "pool", "output"), ((0, 1), (0, 2), (1, 3), (2, 3)))
    counts = embedding.substructures(graph)
    assert {describe(embedding, label, 1) for label in counts[1]} == {
        "input -> conv, pool",
        "input -> conv -> output",
        "input -> pool -> output",
        "conv, pool -> output",
    }
    assert "(input -> conv, pool) -> conv -> (conv, pool -> output)" in {
        describe(embedding, label, 2) for label in counts[2]
    }


def test_too_few_trials_are_refused():
    with pytest.raises(StudyError, match="three"):
        motifs(run_search("random", trials=2))


def test_they_can_be_drawn(study, tmp_path):
    pytest.importorskip("matplotlib", reason="draws")
    draw(motifs(study), tmp_path / "motifs.svg", most=3)
    assert "wide" in (tmp_path / "motifs.svg").read_text() or (tmp_path / "motifs.svg").stat().st_size > 5000


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    path = tmp_path_factory.mktemp("motifs") / "study.sqlite"
    evaluator = {"class_path": "nasplug.testing.SyntheticEvaluator"}
    run_search("random", space="nasbench101", evaluator=evaluator, trials=30, storage=path)
    return str(path)


def test_the_command_prints_text_and_json(file, capsys):
    assert main(["motifs", file, "--top", "2"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 4
    assert all(line.startswith(("helps", "harms")) and "conv" in line for line in lines)
    assert main(["motifs", file, "--rounds", "0", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert {motif["text"] for motif in found} <= {"conv3x3-bn-relu", "conv1x1-bn-relu", "maxpool3x3"}
    assert found[0]["effect"] >= found[-1]["effect"]


def test_the_command_refuses_nonsense(file, capsys):
    assert main(["motifs", file, "--rounds", "-1"]) != 0
    assert "rounds" in capsys.readouterr().err


def test_motifs_of_few_trials_are_left_out_from_the_number_on(study):
    """Without a number, those of three trials are the rarest."""
    every = {motif.text: motif.trials for motif in motifs(study, rounds=1, least=1)}
    for least in (1, 2, 3, 4, 10):
        found = {motif.text for motif in motifs(study, rounds=1, least=least)}
        assert found == {text for text, trials in every.items() if trials >= least}
    assert 3 in every.values()
    assert {motif.text for motif in motifs(study)} == {text for text, trials in every.items() if trials >= 3}


@pytest.mark.parametrize("words", [["--least", "100000"], ["--least", "100000", "--json"], ["--top", "1"]])
def test_the_command_ends_well_whatever_there_is(file, capsys, words):
    assert main(["motifs", file, *words]) == 0
    said = capsys.readouterr().out
    if "--json" in words:
        assert json.loads(said) == []
    elif "--least" in words:
        assert said == "no motif occurs in 100000 or more trials\n"
