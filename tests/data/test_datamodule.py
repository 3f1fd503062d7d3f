from __future__ import annotations

import pickle

import numpy as np
import pytest
import torch
from pytorch_lightning import LightningModule, Trainer

from nasplug.contract.errors import DataError, SpecError
from nasplug.data import Digits, ImageArrays, ImageDataModule, Npz


def seen(loader) -> list[float]:
    """Which numbered images a loader hands out."""
    return sorted(round(float(image[0, 0, 0])) for images, _ in loader for image in images)


def test_training_validation_and_test_images_never_meet(numbered):
    data = ImageDataModule(numbered, batch_size=7, normalise=False)
    train, val, test = (seen(loader()) for loader in (data.train_dataloader, data.val_dataloader, data.test_dataloader))
    assert not set(train) & set(val)
    assert not set(test) & (set(train) | set(val))
    assert sorted(train + val + test) == list(range(60))
    assert set(val) == set(data.prepared.val.index.tolist())


def test_labels_stay_with_their_images(numbered):
    data = ImageDataModule(numbered, batch_size=7, normalise=False, augment="flip")
    for loader in (data.train_dataloader(), data.val_dataloader(), data.test_dataloader()):
        for images, labels in loader:
            assert (images[:, 0, 0, 0].long() % 3 == labels).all()


def test_what_a_network_sees(numbered):
    data = ImageDataModule(numbered)
    assert (data.input_shape, data.num_classes, data.class_names) == ((1, 4, 4), 3, ("0", "1", "2"))
    images = torch.cat([images for images, _ in ImageDataModule(numbered, batch_size=6).train_dataloader()])
    assert images.shape[1:] == (1, 4, 4)
    assert float(images.mean()) == pytest.approx(0, abs=0.05)
    assert float(images.std(correction=0)) == pytest.approx(1, abs=0.05)


def test_bytes_are_scaled_to_one_and_normalised_by_the_training_part():
    x = np.random.default_rng(0).integers(0, 256, (60, 5, 4, 3)).astype(np.uint8)
    arrays = ImageArrays(x, np.arange(60) % 2)
    plain = ImageDataModule(arrays, normalise=False)
    (images, _), *_ = plain.val_dataloader()
    expected = x[plain.prepared.val.index].transpose(0, 3, 1, 2) / 255
    np.testing.assert_allclose(images.numpy(), expected, atol=1e-6)
    (images, _), *_ = ImageDataModule(arrays).val_dataloader()
    train = x[plain.prepared.train.index] / 255
    mean, std = train.mean(axis=(0, 1, 2))[:, None, None], train.std(axis=(0, 1, 2))[:, None, None]
    np.testing.assert_allclose(images.numpy(), (expected - mean) / std, atol=1e-5)


def test_only_training_is_augmented(numbered):
    x = np.random.default_rng(0).random((60, 6, 6))
    data = ImageDataModule(ImageArrays(x, np.arange(60) % 2), augment="crop_flip", batch_size=60, normalise=False)
    index = data.prepared.val.index
    torch.testing.assert_close(next(iter(data.val_dataloader()))[0][:, 0], torch.tensor(x[index], dtype=torch.float32))
    assert not torch.equal(next(iter(data.train_dataloader()))[0], next(iter(data.train_dataloader()))[0])


def test_epochs_follow_the_seed_of_torch(numbered):
    def epochs(seed):
        torch.manual_seed(seed)
        loader = ImageDataModule(numbered, augment="crop", batch_size=16).train_dataloader()
        return torch.cat([images for _ in range(2) for images, _ in loader])

    assert torch.equal(epochs(1), epochs(1))
    assert not torch.equal(epochs(1), epochs(2))


def test_prepared_data_are_shared(numbered):
    first = ImageDataModule(numbered)
    second = ImageDataModule(numbered, prepared=first.prepared, batch_size=3)
    assert second.prepared is first.prepared
    assert len(second.train_dataloader()) == len(first.prepared.train) // 3


def test_loaders_do_not_copy_the_images():
    x = np.zeros((20, 4, 4, 3), np.uint8)
    data = ImageDataModule(ImageArrays(x, np.arange(20) % 2))
    assert data.train_dataloader().data.images.data_ptr() == x.ctypes.data


def test_files_are_read_when_needed_and_checked_first(tmp_path):
    data = ImageDataModule(Npz(str(tmp_path / "missing.npz")))
    with pytest.raises(DataError, match="does not exist"):
        data.prepare_data()
    assert len(pickle.dumps(ImageDataModule(Digits()))) < 2000


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"augment": "cropflip"}, "did you mean 'crop_flip'"),
        ({"batch_size": 0}, "batch_size must be >= 1, got 0"),
        ({"pad": -1}, "pad must be >= 0, got -1"),
        ({"num_workers": -1}, "num_workers"),
        ({"eval_batch_size": 0}, "eval_batch_size must be >= 1, got 0"),
    ],
)
def test_refuses_arguments(numbered, arguments, message):
    with pytest.raises(SpecError, match=message):
        ImageDataModule(numbered, **arguments)


def test_no_test_images(numbered):
    with pytest.raises(DataError, match="no test images"):
        ImageDataModule(numbered, test_fraction=0).test_dataloader()


class Recorder(LightningModule):
    """Notes which images reach training and validation."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(()))
        self.seen = {"train": set(), "val": set(), "test": set()}

    def training_step(self, batch, batch_index):
        self.seen["train"] |= set(batch[0][:, 0, 0, 0].round().tolist())
        return self.weight * 1.0

    def validation_step(self, batch, batch_index):
        self.seen["val"] |= set(batch[0][:, 0, 0, 0].round().tolist())

    def test_step(self, batch, batch_index):
        self.seen["test"] |= set(batch[0][:, 0, 0, 0].round().tolist())

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), 0.1)


def make_trainer(**arguments) -> Trainer:
    return Trainer(
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        **arguments,
    )


@pytest.mark.filterwarnings("error:.*does not have many workers:UserWarning")
def test_a_trainer_never_sees_a_test_image_in_fit(numbered):
    data, module = ImageDataModule(numbered, normalise=False, batch_size=8), Recorder()
    trainer = make_trainer(max_epochs=2)
    trainer.fit(module, datamodule=data)
    parts = data.prepared
    assert module.seen["train"] == set(parts.train.index.tolist())
    assert module.seen["val"] == set(parts.val.index.tolist())
    assert not module.seen["test"]
    assert trainer.global_step == 2 * len(data.train_dataloader())
    trainer.test(module, datamodule=data, verbose=False)
    assert module.seen["test"] == set(parts.test.index.tolist())


def test_several_devices_are_refused(numbered):
    data = ImageDataModule(numbered)

    class Wide:
        world_size = 2

    data.trainer = Wide()
    with pytest.raises(SpecError, match="one device"):
        data.setup("fit")
