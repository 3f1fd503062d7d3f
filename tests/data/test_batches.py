from __future__ import annotations

import torch

from nasplug.data.augment import augment, random_crop, random_flip
from nasplug.data.batches import Batches, BatchImages, BatchSampler, batches


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def pixels_in_order(count: int, size: int = 6) -> torch.Tensor:
    """(count, 2, size, size); every pixel of an image is different and none is 0."""
    return (torch.arange(2 * size * size, dtype=torch.float32) + 1).view(1, 2, size, size).repeat(count, 1, 1, 1)


def test_flip_mirrors_about_half():
    images = pixels_in_order(400)
    flipped = random_flip(images, generator())
    same = (flipped == images).flatten(1).all(1)
    mirrored = (flipped == images.flip(-1)).flatten(1).all(1)
    assert (same ^ mirrored).all()
    assert 160 < int(same.sum()) < 240


def test_crop_shifts_by_every_amount_and_fills_with_zero():
    images, pad = pixels_in_order(500), 2
    shifted = random_crop(images, pad, generator())
    padded = torch.nn.functional.pad(images[0], (pad,) * 4)
    seen = set()
    for image in shifted:
        places = [
            (row, column)
            for row in range(2 * pad + 1)
            for column in range(2 * pad + 1)
            if torch.equal(image, padded[:, row : row + 6, column : column + 6])
        ]
        assert len(places) == 1
        seen.update(places)
    assert len(seen) == 25


def test_augment_names_and_determinism():
    images = pixels_in_order(8)
    assert torch.equal(augment(images, "none", 2, generator()), images)
    assert torch.equal(augment(images, "crop", 0, generator()), images)
    for how in ("flip", "crop", "crop_flip"):
        assert torch.equal(augment(images, how, 2, generator(5)), augment(images, how, 2, generator(5)))
        assert not torch.equal(augment(images, how, 2, generator(5)), augment(images, how, 2, generator(6)))


def images_of(count: int, how: str = "none") -> BatchImages:
    stored = torch.arange(count, dtype=torch.uint8).view(-1, 1, 1, 1).expand(-1, 3, 3, 2).contiguous()
    return BatchImages(stored, torch.arange(count), torch.tensor([1.0, 2.0]), torch.tensor([0.0, 5.0]), how, 1)


def test_a_batch_is_scaled_and_the_stored_images_stay():
    data = images_of(10)
    images, labels = data[torch.tensor([3, 7]), 0]
    assert images.shape == (2, 2, 3, 3)
    assert images.dtype == torch.float32
    assert images.is_contiguous()
    assert images[:, 0, 0, 0].tolist() == [3.0, 7.0]
    assert images[:, 1, 2, 1].tolist() == [11.0, 19.0]
    assert labels.tolist() == [3, 7]
    stored = torch.rand(4, 3, 3, 2)
    before = stored.clone()
    _ = BatchImages(stored, torch.arange(4), torch.ones(2) * 3, torch.ones(2))[torch.arange(4), 0]
    assert torch.equal(stored, before)


def test_every_image_once_per_epoch_in_a_new_order():
    sampler = BatchSampler(torch.arange(10, 30), 8, shuffle=True)
    torch.manual_seed(1)
    first, second = ([index for index, _ in sampler] for _ in range(2))
    assert [len(index) for index in first] == [8, 8, 4] == [8] * 2 + [4]
    assert len(sampler) == 3
    assert sorted(torch.cat(first).tolist()) == list(range(10, 30))
    assert torch.cat(first).tolist() != torch.cat(second).tolist()
    torch.manual_seed(1)
    assert torch.equal(torch.cat([index for index, _ in sampler]), torch.cat(first))


def test_a_last_single_image_is_left_out_of_training_only():
    index = torch.arange(9)
    training = BatchSampler(index, 8, shuffle=True)
    assert [len(batch) for batch, _ in training] == [8]
    assert len(training) == 1
    assert [len(batch) for batch, _ in BatchSampler(index, 8, shuffle=False)] == [8, 1]
    assert len(BatchSampler(index[:1], 8, shuffle=True)) == 1


def test_batches_are_the_same_with_a_worker():
    def two_epochs(num_workers):
        sampler = BatchSampler(torch.arange(20), 6, shuffle=True)
        loader = batches(images_of(20, "crop"), sampler, num_workers)
        assert isinstance(loader, Batches) == (num_workers == 0)
        torch.manual_seed(3)
        return [batch for _ in range(2) for batch in loader]

    here, there = two_epochs(0), two_epochs(1)
    assert len(here) == len(there) == 8
    for (images, labels), (same_images, same_labels) in zip(here, there, strict=True):
        assert torch.equal(images, same_images)
        assert torch.equal(labels, same_labels)
