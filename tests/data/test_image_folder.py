import json

import numpy as np
import pytest
from data_formats import small_pictures
from PIL import Image

from traintwice.data import ImageFolder, ImageNet, INaturalist
from traintwice.errors import BadInput, BadSpec


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
