import numpy as np
import pytest
import torch

from traintwice.augmentation import ALL, STEPS, CropFlip, ResizedCropFlip, Shift
from traintwice.errors import BadSpec
from traintwice.recipes import Recipe
from traintwice.specs import decode, encode

PICTURES = torch.from_numpy(np.random.default_rng(0).uniform(1, 2, size=(40, 5, 4, 3)))


def moved(picture, down, right):
    """One picture, pixel by pixel."""
    out = np.zeros_like(picture)
    rows, columns = picture.shape[:2]
    for y in range(rows):
        for x in range(columns):
            if 0 <= y - down < rows and 0 <= x - right < columns:
                out[y, x] = picture[y - down, x - right]
    return out


@pytest.mark.parametrize("augmentation", [Shift(1), Shift(3), CropFlip(2)])
def test_pictures_are_moved_and_mirrored_as_drawn(augmentation):
    drawn = augmentation.draw(np.random.default_rng(1), 40)
    found = augmentation.apply(PICTURES, torch.from_numpy(drawn)).numpy()
    for b, (down, right, *mirrored) in enumerate(drawn):
        expected = moved(PICTURES[b].numpy(), down, right)
        np.testing.assert_array_equal(found[b], expected[:, ::-1] if any(mirrored) else expected)


@pytest.mark.parametrize("kind", [Shift, CropFlip])
def test_every_draw_is_equally_likely_and_that_of_an_example_alone(kind):
    augmentation = kind(2)
    drawn = augmentation.draw(np.random.default_rng(1), 3000)
    for column, choices in zip(drawn.T, [5, 5, 2], strict=False):
        counts = np.unique(column, return_counts=True)[1]
        assert len(counts) == choices
        assert abs(counts - 3000 / choices).max() < 5 * np.sqrt(3000 / choices)
    np.testing.assert_array_equal(drawn[:10], augmentation.draw(np.random.default_rng(1), 10))  # not of how many there are


@pytest.mark.parametrize("kind", [Shift, CropFlip])
def test_files_and_mistakes(kind):
    recipe = Recipe(augmentation=kind(2))
    assert decode(Recipe, encode(recipe)) == recipe
    with pytest.raises(BadSpec, match="got 0, expected at least 1"):
        kind(0)


@pytest.mark.parametrize("kind", ALL)
def test_default_settings_survive_a_file(kind):
    recipe = Recipe(augmentation=kind())
    assert decode(Recipe, encode(recipe)) == recipe


def test_crops_of_any_size_are_bilinear_between_the_pixels():
    whole = [STEPS - 1, STEPS // 2, 0, 0]  # all of the picture, of its own shape
    pictures = PICTURES[:2]
    found = ResizedCropFlip().apply(pictures, torch.tensor([[*whole, 0], [*whole, 1]]))
    torch.testing.assert_close(found[0], pictures[0])
    torch.testing.assert_close(found[1], pictures[1].flip(1))
    quarter = ResizedCropFlip(0.25)  # the smallest crop: half of each side
    ramp = torch.arange(8.0, dtype=torch.float64).reshape(1, 1, 8, 1).expand(1, 8, 8, 3)
    left, right = (quarter.apply(ramp, torch.tensor([[0, STEPS // 2, 0, place, 0]]))[0, 4, :, 0] for place in (0, STEPS - 1))
    expected = (torch.arange(8.0, dtype=torch.float64) + 0.5) / 2 - 0.5
    torch.testing.assert_close(left, expected.clamp(min=0))
    torch.testing.assert_close(right, (expected + 4).clamp(max=7))


def test_crops_are_drawn_for_an_example_alone_and_evenly():
    drawn = ResizedCropFlip().draw(np.random.default_rng(1), 4000)
    np.testing.assert_array_equal(drawn[:10], ResizedCropFlip().draw(np.random.default_rng(1), 10))
    assert np.allclose(drawn.mean(0) / [STEPS, STEPS, STEPS, STEPS, 2], [0.5, 0.5, 0.5, 0.5, 0.25], atol=0.02)
    with pytest.raises(BadSpec, match="got 0, expected a number above 0"):
        ResizedCropFlip(0)
