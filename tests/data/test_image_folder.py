import json
import os
from dataclasses import replace

import numpy as np
import pytest
import torch
from data_formats import small_pictures
from PIL import Image

from traintwice.data import ImageFolder, ImageNet, INaturalist
from traintwice.engine import train
from traintwice.engine._reading import Inputs
from traintwice.errors import BadInput, BadSpec
from traintwice.nets import MLP
from traintwice.recipes import Recipe


@pytest.fixture(autouse=True)
def _own_folder_of_data(own_folder_of_data):
    pass


def test_pictures_belong_to_their_folders(folder):
    data = small_pictures(folder).load()
    assert (data.class_names, data.shape, data.pixels) == (("ant", "bee"), (3, 8, 8), (8, 8, 3))
    assert [len(split) for split in data.splits.values()] == [14, 4, 8]
    seen = []
    for name, split in data.splits.items():
        assert not isinstance(split.inputs, np.ndarray)
        pictures = split.rows(np.arange(len(split)))
        assert pictures.shape == (len(split), 3, 8, 8)
        assert (pictures == pictures[:, :, :1, :1]).all()
        red, green, blue = pictures[:, :, 0, 0].T
        assert (red // 100).tolist() == split.labels.tolist()
        assert (blue == 50 * (name == "test")).all()
        seen += zip(red.tolist(), green.tolist(), blue.tolist(), strict=True)
    assert len(set(seen)) == 26
    assert np.concatenate([split.ids for split in data.splits.values()]).sum() == sum(range(26))


def test_folders_that_are_not_as_they_should(folder, tmp_path):
    with pytest.raises(BadInput, match=r"ImageNet: no folder .*nowhere\. Download ImageNet from https://image-net\.org"):
        ImageNet(str(tmp_path / "nowhere")).load()
    with pytest.raises(BadInput, match=r"no folder .*pictures/test\. Arrange the pictures"):
        small_pictures(folder, test_folder="test").load()
    (folder / "train" / "cow").mkdir()
    with pytest.raises(BadInput, match=r"3 classes in train and 2 in val, 'cow' is in one of them only"):
        small_pictures(folder).load()
    with pytest.raises(BadSpec, match="expected 1 <= size <= resize"):
        ImageFolder(size=300)


def test_inaturalist_reads_classes_from_its_annotations(tmp_path):
    for half, count in (("train2018", 9), ("val2018", 4)):
        rows = []
        for i in range(count):
            path = tmp_path / "train_val2018" / "Aves" / f"{half}-{i}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (12, 12), (60 * (i % 3), 0, 0)).save(path, quality=95)
            rows.append((i, f"train_val2018/Aves/{path.name}", 70 + 5 * (i % 3)))
        found = {
            "images": [{"id": i, "file_name": name} for i, name, _ in reversed(rows)],
            "annotations": [{"id": 900 + i, "image_id": i, "category_id": c} for i, _, c in rows],
        }
        (tmp_path / f"{half}.json").write_text(json.dumps(found))
    source = INaturalist(str(tmp_path), validation=3, resize=9, size=8)
    data = source.load()
    assert data.class_names == ("70", "75", "80")
    for split in data.splits.values():
        red = split.rows(np.arange(len(split)))[:, 0, 4, 4].astype(int)
        assert ((red + 20) // 60).tolist() == split.labels.tolist()
    (tmp_path / "val2018.json").write_text(
        '{"images": [{"id": 0, "file_name": "../x"}], "annotations": [{"image_id": 0, "category_id": 1}]}'
    )
    with pytest.raises(BadInput, match="names pictures outside the folder"):
        source.load()
    (tmp_path / "val2018.json").write_text('{"images": []}')
    with pytest.raises(BadInput, match=r"val2018\.json: is not a valid annotation file .*annotations.*Get train_val2018"):
        source.load()


def test_shorter_side_then_the_middle(tmp_path, folder):
    """Twice as wide as high, a ramp from left to right: what is left is the ramp's middle."""
    ramp = np.broadcast_to(np.arange(80, dtype=np.uint8)[None, :, None] * 3, (40, 80, 3))
    for half in ("train", "val"):
        Image.fromarray(np.ascontiguousarray(ramp)).save(folder / half / "ant" / "0.png")
    data = replace(small_pictures(folder), resize=40, size=20).load()
    split = next(s for s in (data.train, data.validation) if "train/ant/0.png" in s.inputs.files)
    found = split.rows(np.array([split.inputs.files.index("train/ant/0.png")]))[0]
    np.testing.assert_array_equal(found, ramp[10:30, 30:50].transpose(2, 0, 1))
    Image.fromarray(np.ascontiguousarray(ramp)).resize((160, 80), Image.Resampling.NEAREST).save(folder / "val" / "ant" / "0.png")
    half_size = replace(small_pictures(folder), resize=40, size=20).load().test.rows(np.array([0]))[0]
    assert abs(half_size.astype(int) - ramp[10:30, 30:50].transpose(2, 0, 1)).max() <= 2


def test_grey_and_transparent_pictures_become_three_channels(folder):
    Image.new("L", (9, 9), 77).save(folder / "val" / "ant" / "0.png")
    Image.new("RGBA", (9, 9), (1, 2, 3, 128)).save(folder / "val" / "ant" / "1.png")
    found = small_pictures(folder).load().test.rows(np.array([0, 1]))
    assert found[:, :, 4, 4].tolist() == [[77, 77, 77], [1, 2, 3]]


def test_it_trains_and_the_number_of_decoders_changes_nothing(folder):
    recipe = Recipe(network=MLP((4,)), epochs=2, batch_size=5)
    first, second = (train(recipe, small_pictures(folder, decoders=n).load(), seed=0, replica=0) for n in (1, 3))
    np.testing.assert_array_equal(first.outputs["test"], second.outputs["test"])
    scaled = Inputs(small_pictures(folder).load().test, torch.float64).of(torch.tensor([5]))
    expected = (np.array([100, 10, 50]) / 255 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    np.testing.assert_allclose(scaled[0, :, 0, 0], expected)


def test_the_digest_is_of_the_content(folder, tmp_path):
    before = small_pictures(folder).load().digest
    os.utime(folder / "val" / "ant" / "0.png", ns=(1, 1))
    assert small_pictures(folder).load().digest == before
    assert replace(small_pictures(folder), size=7).load().digest != before
    moved = folder.rename(tmp_path / "elsewhere")
    assert small_pictures(moved).load().digest == before
    Image.new("RGB", (20, 14), (1, 1, 1)).save(moved / "val" / "ant" / "0.png")
    assert small_pictures(moved).load().digest != before


def test_a_damaged_picture_is_named(folder):
    path = folder / "val" / "bee" / "2.png"
    path.write_bytes(path.read_bytes()[:60])
    with pytest.raises(BadInput, match=rf"{path}: cannot be read as a picture .* get it again, or remove it"):
        small_pictures(folder).load().test.rows(np.arange(8))
