"""CIFAR-10, CIFAR-100 and SVHN."""

import numpy as np
import pytest
from data_formats import write_cifar, write_svhn
from scipy.io import savemat

from traintwice.data import CIFAR10, CIFAR100, SVHN
from traintwice.data._official_pictures import read_records
from traintwice.errors import BadInput, BadSpec

RNG = np.random.default_rng(3)


def pictures(count):
    return RNG.integers(1, 256, size=(count, 3, 32, 32), dtype=np.uint8)


def test_cifar_10(tmp_path):
    """Five batches of 30,730,000 bytes and one for the test: a label, then red, green and blue, each row by row."""
    given = {}
    for number, file in enumerate((*CIFAR10.batches, "test_batch.bin")):
        first, last = pictures(2)
        write_cifar(tmp_path / file, (10_000, {0: ((number,), first), 9_999: ((9,), last)}), labels=1)
        assert (tmp_path / file).stat().st_size == 30_730_000
        given[first.tobytes()] = number
        given[last.tobytes()] = 9
    data = CIFAR10(str(tmp_path), validation=20_000, normalise=False).load()
    assert [len(split) for split in data.splits.values()] == [30_000, 20_000, 10_000]
    assert (data.classes, data.shape, data.pixels) == (10, (3, 32, 32), (32, 32, 3))
    found = {
        split.inputs[n].tobytes(): int(split.labels[n])
        for split in data.splits.values()
        for n in np.flatnonzero(split.inputs[:, 0, 0, 0])
    }
    assert found == given
    assert data.test.labels[[0, 9_999]].tolist() == [5, 9]
    assert data.class_names[3] == "cat"
    picture = data.picture(data.test.inputs[0])
    assert picture.shape == (32, 32, 3)
    np.testing.assert_array_equal(picture[4, 5], data.test.inputs[0][:, 4, 5])


def test_cifar_100_has_a_coarse_and_a_fine_label(tmp_path):
    picture = pictures(1)[0]
    for file, count in (("train.bin", 50_000), ("test.bin", 10_000)):
        write_cifar(tmp_path / file, (count, {2: ((19, 99), picture)}), labels=2)
        assert (tmp_path / file).stat().st_size == count * 3074
    (tmp_path / "coarse_label_names.txt").write_text("\n".join(f"kind{i}" for i in range(20)) + "\n")
    fine = CIFAR100(str(tmp_path), train=10, normalise=False).load()
    assert (fine.classes, int(fine.test.labels[2]), fine.class_names) == (100, 99, ())
    coarse = CIFAR100(str(tmp_path), train=10, normalise=False, labels="coarse").load()
    assert (coarse.classes, int(coarse.test.labels[2]), coarse.class_names[19]) == (20, 19, "kind19")
    np.testing.assert_array_equal(coarse.test.inputs[2], picture)
    with pytest.raises(BadSpec, match=r"CIFAR100\.labels: got 'both'"):
        CIFAR100(labels="both")


def test_a_batch_that_is_cut_off(tmp_path):
    write_cifar(tmp_path / "x.bin", (10_000, {}), labels=1)
    with (tmp_path / "x.bin").open("r+b") as file:
        file.truncate(30_729_999)
    said = r"has 30,729,999 bytes, expected 30,730,000: 10,000 records of 3,073"
    with pytest.raises(BadInput, match=rf"x\.bin: truncated or damaged \({said}\); delete it and get it again\. Advice"):
        read_records(tmp_path / "x.bin", labels=1, records=10_000, advice="Advice")


@pytest.mark.parametrize(
    ("cls", "inside", "archive"),
    [
        (CIFAR10, "data_batch_1", "cifar-10-binary.tar.gz"),
        (CIFAR10, "cifar-10-batches-py/data_batch_1", "cifar-10-binary.tar.gz"),
        (CIFAR100, "train", "cifar-100-binary.tar.gz"),
    ],
)
def test_pickles_are_refused(tmp_path, cls, inside, archive):
    (tmp_path / inside).parent.mkdir(exist_ok=True)
    (tmp_path / inside).write_bytes(b"\x80\x02}q\x01.")
    with pytest.raises(
        BadInput, match=rf"the Python version, a pickle, .*{archive}: Get them with: traintwice fetch {cls.__name__}"
    ):
        cls(str(tmp_path)).load()


def test_the_folder_that_the_archive_makes_is_found(tmp_path):
    inner = tmp_path / "cifar-100-binary"
    inner.mkdir()
    for file, count in (("train.bin", 50_000), ("test.bin", 10_000)):
        write_cifar(inner / file, (count, {}), labels=2)
    assert len(CIFAR100(str(tmp_path), train=10, normalise=False).load().test) == 10_000


def test_the_digit_0_is_10_in_the_file(tmp_path):
    _, (pictures, labels) = write_svhn(tmp_path)
    data = SVHN(str(tmp_path), validation=5).load()
    assert labels.tolist() == [*range(1, 11), *range(1, 11)]
    assert data.test.labels.tolist() == [*range(1, 10), 0, *range(1, 10), 0]
    np.testing.assert_array_equal(data.test.inputs, pictures.transpose(0, 3, 1, 2))
    np.testing.assert_array_equal(data.picture(data.test.inputs[3]), pictures[3])


def test_extra_pictures_are_for_training(tmp_path):
    write_svhn(tmp_path, extra=30)
    assert [len(s) for s in SVHN(str(tmp_path), validation=5).load().splits.values()] == [35, 5, 20]
    assert [len(s) for s in SVHN(str(tmp_path), validation=5, extra=True).load().splits.values()] == [65, 5, 20]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ({"X": np.zeros((32, 32, 3, 4), np.uint8)}, "has no X and y but X"),
        ({"X": np.zeros((4, 32, 32, 3), np.uint8), "y": np.ones((4, 1))}, r"expected uint8 of shape \(32, 32, 3, N\)"),
        ({"X": np.zeros((32, 32, 3, 4)), "y": np.ones((4, 1))}, "X is float64"),
        ({"X": np.zeros((32, 32, 3, 4), np.uint8), "y": np.zeros((4, 1))}, "labels other than 1 to 10"),
    ],
)
def test_other_files(tmp_path, content, reason):
    write_svhn(tmp_path)
    savemat(tmp_path / "train_32x32.mat", content)
    with pytest.raises(BadInput, match=rf"train_32x32\.mat: truncated or damaged \(.*{reason}.*traintwice fetch SVHN --folder"):
        SVHN(str(tmp_path), validation=5).load()


@pytest.mark.parametrize("keep", [0, 100, 5000, -10])
def test_a_file_cut_off(tmp_path, keep):
    write_svhn(tmp_path)
    path = tmp_path / "test_32x32.mat"
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(BadInput, match="truncated or damaged"):
        SVHN(str(tmp_path), validation=5).load()
