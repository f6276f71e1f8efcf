"""What holds for every data set."""

from dataclasses import fields, replace

import numpy as np
import pytest
from data_formats import write_cifar, write_mnist, write_svhn
from PIL import Image

from traintwice.data import ALL as EVERY
from traintwice.data import FETCHED, Criteo, Days, Flights, Loader, Source
from traintwice.errors import BadInput
from traintwice.specs import decode, encode

ALL = [cls for cls in EVERY if cls not in (Loader, Flights, Criteo, Days)]
"""Those that deal examples into splits; a loader and the streams have tests of their own."""

IN_FOLDERS = [cls for cls in ALL if "folder" in {f.name for f in fields(cls)}]
"""Those whose files the user has in a folder, which `ready` writes; the others, of installed packages, are read as they are."""

SMALL = {"validation": 5, "test": 12}


@pytest.fixture(scope="module")
def ready(tmp_path_factory):
    """Class to a source whose files are there."""
    root = tmp_path_factory.mktemp("sets")
    made = {cls: {} for cls in ALL}
    for cls in ALL:
        folder = root / cls.__name__
        name = cls.__name__
        if name == "EMNIST":
            write_mnist(folder, names=("emnist-balanced-train-{}", "emnist-balanced-test-{}"), labels=47)
        elif "MNIST" in name and cls in IN_FOLDERS:
            write_mnist(folder)
        elif name == "SVHN":
            write_svhn(folder)
        elif name in ("CIFAR10", "CIFAR100"):
            folder.mkdir()
            picture = np.arange(3072, dtype=np.uint8).reshape(3, 32, 32)
            sizes = {"train.bin": 50_000, "test.bin": 10_000}
            for file in sizes if name == "CIFAR100" else (*cls.batches, "test_batch.bin"):
                marks = (1, 7) if name == "CIFAR100" else (7,)
                write_cifar(folder / file, (sizes.get(file, 10_000), {3: (marks, picture)}), labels=len(marks))
        elif name in ("ImageFolder", "ImageNet"):
            _folders(folder)
        elif name == "INaturalist":
            _annotated(folder)
        elif name == "Arrays":
            np.savez(root / "a.npz", inputs=np.random.default_rng(0).normal(size=(40, 3)), labels=np.arange(40) % 3)
        elif name == "Table":
            lines = [f"{i},{'abc'[i % 3]},{i % 2}" for i in range(40)]
            (root / "t.csv").write_text("\n".join(["x,kind,y", *lines]))
        if cls in IN_FOLDERS:
            made[cls] = {"folder": str(folder), **SMALL}
    by_name = {cls.__name__: cls for cls in ALL}
    made[by_name["Arrays"]] = {"inputs": str(root / "a.npz"), **SMALL}
    made[by_name["Table"]] = {"file": str(root / "t.csv"), "label": "y", **SMALL}
    for name in ("ImageFolder", "ImageNet", "INaturalist"):
        made[by_name[name]] |= {"resize": 9, "size": 8}
    for name in ("CIFAR10", "CIFAR100"):
        made[by_name[name]] |= {"train": 50, "normalise": False}
    return {cls: cls(**settings) for cls, settings in made.items()}


def _picture(path, seed):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, size=(12, 10, 3), dtype=np.uint8)).save(path)


def _folders(folder):
    for half, count in (("train", 12), ("val", 7)):
        for c, name in enumerate(("ant", "bee")):
            for i in range(count):
                _picture(folder / half / name / f"{i}.png", 100 * c + i + 1000 * (half == "val"))


def _annotated(folder):
    import json

    for half, count in (("train2018", 20), ("val2018", 14)):
        images = [{"id": i, "file_name": f"train_val2018/Fungi/{half}{i}.png"} for i in range(count)]
        for image in images:
            _picture(folder / image["file_name"], image["id"])
        rows = [{"id": i, "image_id": i, "category_id": 5000 + i % 3} for i in range(count)]
        (folder / f"{half}.json").write_text(json.dumps({"images": images, "annotations": rows}))


@pytest.mark.parametrize("cls", ALL)
def test_loads_the_same_arrays_twice(ready, cls):
    first, second = ready[cls].load(), ready[cls].load()
    assert first.digest == second.digest
    for split in first.splits.values():
        assert split.inputs.dtype == (np.float32 if split.scaling is None else np.uint8)
        assert split.labels.dtype == np.int64
        assert len(split.inputs if isinstance(split.inputs, np.ndarray) else split.labels) == len(split) > 0
        assert tuple(split.inputs.shape) == (len(split), *first.shape)
        assert split.labels.min() >= 0
        assert split.labels.max() < first.classes
        np.testing.assert_array_equal(split.rows(np.array([1, 0])), split.rows(np.array([0, 1]))[::-1])
    assert len(first.class_names) in (0, first.classes)
    if first.pixels is not None:
        assert first.picture(first.test.rows(np.array([0]))[0]).shape == first.pixels


LIGHT = [cls for cls in ALL if cls.__name__ not in ("CIFAR10", "CIFAR100", "MNIST5k")]
"""Those read in no time; the others are dealt by the same function."""


@pytest.mark.parametrize("cls", LIGHT)
def test_another_shuffle_is_other_data_with_the_same_settings_otherwise(ready, cls):
    data, other = ready[cls].load(), replace(ready[cls], split_seed=1).load()
    assert data.digest != other.digest
    assert [len(s) for s in data.splits.values()] == [len(s) for s in other.splits.values()]


@pytest.mark.parametrize("cls", ALL)
def test_settings_survive_a_file(ready, cls):
    assert decode(Source, encode(ready[cls])) == ready[cls]
    assert {"train", "validation", "test", "split_seed"} <= {f.name for f in fields(cls)}


@pytest.mark.parametrize("cls", LIGHT)
def test_more_examples_than_there_are(ready, cls):
    with pytest.raises(BadInput, match=r"expected (three )?positive numbers"):
        replace(ready[cls], train=10**6).load()
    with pytest.raises(BadInput, match=r"expected (three )?positive numbers"):
        replace(ready[cls], test=0).load()


@pytest.mark.parametrize("cls", IN_FOLDERS)
def test_missing_files_say_what_to_do(cls, tmp_path, monkeypatch):
    monkeypatch.setenv("TRAINTWICE_DATA", str(tmp_path))
    monkeypatch.setattr("traintwice.data.FashionMNIST.installed", ())
    with pytest.raises(BadInput, match=rf"{cls.__name__}: no .*{tmp_path / cls.__name__}"):
        cls().load()
    with pytest.raises(BadInput, match=f"{tmp_path}/here") as error:
        cls(folder=f"{tmp_path}/here").load()
    if cls.__name__ in FETCHED:
        assert f"traintwice fetch {cls.__name__} --folder {tmp_path}/here" in str(error.value)


def test_every_one_that_is_downloaded_names_files_that_it_reads():
    assert set(FETCHED) == {"MNIST", "FashionMNIST", "KMNIST", "EMNIST", "CIFAR10", "CIFAR100", "SVHN"}
    for cls in FETCHED.values():
        wanted = {name.removesuffix(".gz") for remote in cls.remotes for name in remote.wanted}
        if hasattr(cls, "files"):
            assert set(cls().files()) <= wanted
        assert all(len(remote.md5) == 32 and address.startswith("http") for remote in cls.remotes for address in remote.addresses)
