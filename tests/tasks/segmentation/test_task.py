from __future__ import annotations

import pickle

import pytest

import nasplug as nas
from nasplug.contract.errors import DataError, SpecError, TaskError
from nasplug.data.volumes import NpzVolumes
from nasplug.tasks.segmentation import Loss, Patches, Scoring, Segmentation
from nasplug.tasks.settings import Training
from tests.support.volumes import write_npz


def search(space, task, **more):
    return nas.search(space=space, task=task, **{"trials": 2, "epochs": 3, "seed": 1, **more})


@pytest.mark.parametrize("dimensions", [2, 3])
def test_a_search_learns(space, make_task, dimensions):
    task = make_task(dimensions, patches={"per_epoch": 24, "foreground": 0.7})
    study = search(space, task, epochs=6)
    assert all(trial.state == "complete" for trial in study.trials), study.trials[0].failure
    metrics = study.best.metrics
    assert metrics["val_dice"] > 0.5
    assert metrics["val_dice"] == pytest.approx((metrics["val_dice_core"] + metrics["val_dice_shell"]) / 2)
    assert {"val_loss", "train_loss", "val_volume_difference"} <= set(metrics)
    assert "val_hd95" not in metrics


def test_the_same_seed_gives_the_same_trials(space, make_task, outcome):
    first, second = (search(space, make_task(patches={"per_epoch": 8, "augment": "standard"})) for _ in range(2))
    assert outcome(first) == outcome(second)


def test_the_number_of_workers_that_cut_patches_changes_nothing(space, make_task, outcome):
    first, second = (
        search(space, make_task(patches={"per_epoch": 8, "num_workers": workers}), trials=1) for workers in (0, 2)
    )
    assert [m.metrics for m in first.trials[0].measurements] == [m.metrics for m in second.trials[0].measurements]


def test_shapes_follow_from_the_data(make_task):
    task = make_task(patches={"size": None, "batch_size": None})
    assert task.input_shape == (1, 20, 16, 16)
    assert task.batch_size == 8
    assert (task.outputs, task.output) == (3, "volume")
    assert task.class_names == ("background", "core", "shell")
    flat = make_task(2, patches={"size": None})
    assert flat.input_shape == (1, 20, 16)
    assert flat.output == "map"
    assert "4 training + 1 validation + 1 test cases of 6 patients" in task.describe_data()


def test_the_preprocessing_is_plain(make_task):
    plain = make_task().preprocessing
    assert plain["kind"] == "volume"
    assert list(plain["patch"]) == [12, 12, 12]
    assert plain["intensity"][0]["kind"] == "zscore"
    assert list(plain["channels"]) == ["MRI"]


def test_a_patch_that_is_larger_than_every_volume(make_task):
    with pytest.raises(DataError, match=r"along axis 2: 17 and 16 voxels(.|\n)*patches.pad: true"):
        make_task(patches={"size": [20, 18, 17]}).check()
    make_task(patches={"size": [20, 18, 16]}).check()
    make_task(patches={"size": [20, 18, 17], "pad": True}).check()
    make_task(2, patches={"size": [20, 18]}).check()


def test_flat_images_have_two_dimensions(make_task, tmp_path):
    write_npz(tmp_path / "volumes.npz", 6, (20, 18, 1))
    make_task(2, patches={"size": [16, 16]}).check()
    with pytest.raises(DataError, match=r"images are flat, and 3 dimensions were said(.|\n)*dimensions: 2"):
        make_task(3, patches={"size": [16, 16, 1]}).check()


def test_padded_patches_train(space, make_task):
    study = search(space, make_task(patches={"size": [24, 24, 24], "pad": True, "per_epoch": 4}), trials=1, epochs=1)
    assert study.best.state == "complete"


def test_bad_data_are_refused_before_anything_trains(space, make_task, tmp_path):
    path = write_npz(tmp_path / "bad.npz", 6)
    task = make_task(data=NpzVolumes(str(path), classes=["background", "core"]))
    with pytest.raises(DataError, match="value 2"):
        search(space, task)
    with pytest.raises(DataError, match="cannot make 6 folds"):
        search(space, make_task(folds={"count": 6}))


def test_hyperparameters(space, make_task):
    task = make_task()
    task.check_hyperparameters(["lr", "weight_decay"])
    with pytest.raises(TaskError, match="there is no hyperparameter 'depth'"):
        task.check_hyperparameters(["depth"])
    network = space.build(space.architecture((4,)), task)
    assert task.module(network, {"lr": 0.5}).settings.lr == 0.5


def test_weights_of_classes(space, make_task):
    task = make_task(training={"class_weights": "balanced"})
    network = space.build(space.architecture((4,)), task)
    module = task.module(network, {})
    weights = module.loss.loss.cross_entropy.weight
    assert weights[0] < weights[2] < weights[1]  # background, shell, core by falling number of voxels
    assert module.plain_loss.loss.cross_entropy.weight is None
    with pytest.raises(TaskError, match="takes no weights"):
        Segmentation(task.data, loss=Loss(name="tversky"), training=Training(class_weights="balanced"))


def test_a_class_that_is_never_found_is_remarked(make_task):
    task = make_task()
    assert task.remark({"val_dice_core": 0.0, "val_dice_shell": 0.3}) == "the network finds no voxel of 'core'"
    assert task.remark({"val_dice_core": 0.1, "val_dice_shell": 0.3}) is None


def test_it_crosses_processes_without_its_data(make_task):
    task = make_task()
    assert task.cases is task.cases
    again = pickle.loads(pickle.dumps(task))
    assert again._prepared is None
    assert again.input_shape == task.input_shape


def test_a_part_of_the_patients(space, make_task):
    task = make_task()
    study = search(space, task, trials=1, epochs=1, build=[nas.component("fraction", fraction=0.5)])
    assert study.best.state == "complete", study.trials[0].failure


def test_objectives_say_whether_surfaces_are_measured(space, make_task):
    task = make_task(scoring=Scoring(surface="always"))
    assert task.objectives["val_hd95"] == "min"
    metrics = search(space, task, trials=1, epochs=1).best.metrics
    assert metrics["val_hd95"] > 0
    assert 0 <= metrics["val_surface_dice"] <= 1
    assert "val_hd95" not in make_task().objectives


@pytest.mark.parametrize(
    "make",
    [
        lambda: Patches(batch_size=0),
        lambda: Patches(foreground=1.5),
        lambda: Patches(augment="all"),
        lambda: Loss(name="hinge"),
        lambda: Loss(alpha=2),
        lambda: Scoring(overlap=1),
        lambda: Scoring(surface="often"),
        lambda: Scoring(tolerance_mm=0),
        lambda: Segmentation(NpzVolumes("x.npz"), 4),
        lambda: Segmentation(NpzVolumes("x.npz"), 3, Patches(size=[8, 8])),
    ],
)
def test_bad_settings(make):
    with pytest.raises(SpecError):
        make()
