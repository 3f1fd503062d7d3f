from __future__ import annotations

import math

import pytest

import nasplug as nas
from nasplug.evaluate.folds import CrossValidation
from nasplug.report.sections import sections as shown
from nasplug.tasks.segmentation import Scoring
from nasplug.tasks.segmentation.evaluation import answers


def search(space, task, **more):
    return nas.search(space=space, task=task, **{"trials": 1, "epochs": 1, "seed": 1, **more})


def test_cases_are_answered_as_the_training_scored_them(space, make_task):
    task = make_task(patches={"per_epoch": 16})
    study = search(space, task, epochs=2)
    found = list(answers(task, study, study.best))
    assert [each.case for each in found] == list(task.parts.val)
    mean = sum(sum(each.score.dice) / 2 for each in found) / len(found)
    assert mean == pytest.approx(study.best.metrics["val_dice"], abs=1e-4)
    assert found[0].answer.shape == (20, 18, 16)


def test_every_fold_answers_with_its_own_network(space, make_task):
    task = make_task(patches={"per_epoch": 16}, folds={"count": 2})
    study = search(space, task, evaluator=CrossValidation(), epochs=2)
    found = list(answers(task, study, study.best))
    assert sorted(each.case for each in found) == sorted(set(range(6)) - set(task.parts.test))
    for fold, stage in enumerate(study.best.stages.values()):
        own = [sum(each.score.dice) / 2 for each in found if each.fold == fold]
        assert sum(own) / len(own) == pytest.approx(stage["val_dice"], abs=1e-4)


def test_the_report_has_tables_and_pictures(space, make_task, tmp_path):
    task = make_task(2, patches={"per_epoch": 8}, folds={"count": 2}, scoring=Scoring(surface="always"))
    study = search(space, task, evaluator=CrossValidation())
    parts, notices = shown(study)
    assert notices == []
    first, cases, folds = parts
    assert first.title == "Segmentation by trial 0"
    assert first.table.columns[-2:] == ["HD95, mm", "surface Dice"]
    assert [row[0] for row in first.table.rows] == ["core", "shell"]
    assert len(first.pictures) == 2
    assert len(cases.table.rows) == 5
    assert [row[0] for row in folds.table.rows] == ["fold-0", "fold-1", "mean", "standard deviation"]
    page = study.report(tmp_path / "report.html").read_text()
    assert "Segmentation by trial 0" in page
    assert "data:image/png" in page


def test_every_class_has_a_box_with_its_cases():
    from types import SimpleNamespace

    from nasplug.tasks.segmentation.sections import _boxes

    dice = [(0.2, 0.9), (0.4, math.nan), (0.6, 0.7)]
    figure = _boxes([SimpleNamespace(score=SimpleNamespace(dice=each)) for each in dice], ["core", "shell"])
    axes = figure.axes[0]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["core", "shell"]
    medians = {tuple(line.get_ydata()) for line in axes.lines}
    assert (0.4, 0.4) in medians
    assert (0.8, 0.8) in medians
    assert [points.get_offsets()[:, 1].tolist() for points in axes.collections] == [[0.2, 0.4, 0.6], [0.9, 0.7]]


def test_the_pictures_are_explained_and_none_is_shown_twice(space, make_task):
    task = make_task(2, patches={"per_epoch": 8}, folds={"count": 2})
    study = search(space, task)
    first, cases = task.sections(study)
    count = len(cases.rows)
    figure = first.pictures[0]
    titles = [axes.get_title("left") for axes in figure.axes]
    assert len(titles) == 4 * min(count, 3)
    assert titles[0].startswith("worst: ")
    assert "slice" in titles[0]
    legends = {
        legend.get_title().get_text(): [each.get_text() for each in legend.get_texts()] for legend in figure.legends
    }
    assert legends == {"Classes": ["core", "shell"], "Errors": ["missed", "too much", "another class"]}
    assert cases.header == ["case", "core", "shell"], "a column of folds, without folds"


def test_nothing_is_added_without_weights(space, make_task):
    task = make_task()
    study = search(space, task, evaluator=nas.component("lightning", keep="none"))
    assert task.sections(study) == []
