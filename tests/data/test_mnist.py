import gzip

import numpy as np
import pytest
from data_formats import idx, write_mnist

from traintwice.data import EMNIST, KMNIST, MNIST, FashionMNIST, Scaling
from traintwice.data._mnist import read_idx
from traintwice.errors import BadInput, BadSpec

CUBE = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)


def test_bytes_of_the_format(tmp_path):
    literal = bytes.fromhex("00000803000000020000000300000004") + bytes(range(24))
    assert idx(CUBE) == literal
    (tmp_path / "x").write_bytes(literal)
    np.testing.assert_array_equal(read_idx(tmp_path / "x", axes=3, advice=""), CUBE)
    (tmp_path / "x.gz").write_bytes(gzip.compress(literal))
    np.testing.assert_array_equal(read_idx(tmp_path / "x.gz", axes=3, advice=""), CUBE)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (idx(CUBE)[:-1], r"has 39 bytes, expected 40 for 2 × 3 × 4 values"),
        (idx(CUBE) + b"0", r"has 41 bytes"),
        (idx(CUBE[0]), r"begins with 00 00 08 02, expected 00 00 08 03"),
        (b"\x00\x00\x0d\x03" + idx(CUBE)[4:], r"begins with 00 00 0d 03"),
        (b"", r"begins with"),
        (idx(CUBE)[:9], r"has 9 bytes"),
    ],
)
def test_damaged_files(tmp_path, content, reason):
    (tmp_path / "x").write_bytes(content)
    with pytest.raises(BadInput, match=rf"x: truncated or damaged \({reason}.*delete it and get it again\. Ask"):
        read_idx(tmp_path / "x", axes=3, advice="Ask")


@pytest.mark.parametrize("damage", [lambda b: b[:-9], lambda b: b[:40] + bytes([b[40] ^ 255]) + b[41:], lambda b: b"<html>" + b])
def test_damaged_gzip(tmp_path, damage):
    (tmp_path / "x.gz").write_bytes(damage(gzip.compress(idx(np.random.default_rng(0).integers(0, 256, (9, 9, 9), np.uint8)))))
    with pytest.raises(BadInput, match="truncated or damaged"):
        read_idx(tmp_path / "x.gz", axes=3, advice="")


@pytest.mark.parametrize("packed", [False, True])
def test_pictures_keep_their_labels(tmp_path, packed):
    pictures, labels, tests, test_labels = write_mnist(tmp_path, packed=packed)
    data = MNIST(str(tmp_path), train=20, validation=10).load()
    of = {picture.tobytes(): label for picture, label in zip(pictures, labels, strict=True)}
    for split in (data.train, data.validation):
        assert [of[x.tobytes()] for x in split.inputs] == split.labels.tolist()
    assert len({x.tobytes() for split in (data.train, data.validation) for x in split.inputs}) == 30
    np.testing.assert_array_equal(data.test.inputs, tests[:, None])
    np.testing.assert_array_equal(data.test.labels, test_labels)
    assert data.train.scaling == Scaling()
    assert data.pixels == (4, 3)


def test_a_smaller_training_set_is_part_of_a_larger_one(tmp_path):
    write_mnist(tmp_path)
    small, large = (MNIST(str(tmp_path), train=n, validation=5, test=50).load() for n in (8, 20))
    np.testing.assert_array_equal(small.train.inputs, large.train.inputs[:8])
    np.testing.assert_array_equal(small.validation.inputs, large.validation.inputs)
    whole = MNIST(str(tmp_path), validation=5).load()
    assert (len(whole.train), len(whole.test)) == (25, 300)
    places = [next(i for i, w in enumerate(whole.test.inputs) if (w == x).all()) for x in small.test.inputs]
    assert places == sorted(set(places))


def test_mean_and_deviation_are_those_of_the_training_split(tmp_path):
    write_mnist(tmp_path)
    data = MNIST(str(tmp_path), validation=5, normalise=True).load()
    values = data.train.inputs / 255
    np.testing.assert_allclose((data.train.scaling.mean[0], data.train.scaling.std[0]), (values.mean(), values.std()))
    assert data.test.scaling == data.validation.scaling == data.train.scaling


def test_emnist_is_turned_upright_and_letters_begin_at_0(tmp_path):
    names = ("emnist-letters-train-{}", "emnist-letters-test-{}")
    _, _, tests, labels = write_mnist(tmp_path, names=names, labels=26, first=1)
    data = EMNIST(str(tmp_path), validation=5, part="letters").load()
    np.testing.assert_array_equal(data.test.inputs[:, 0], tests.transpose(0, 2, 1))
    np.testing.assert_array_equal(data.test.labels, labels - 1)
    assert (data.classes, data.class_names[0], data.pixels) == (26, "A", (3, 4))
    parts = ("balanced", "byclass", "bymerge", "digits", "letters", "mnist")
    assert [EMNIST(part=part).classes for part in parts] == [47, 62, 47, 10, 26, 10]
    with pytest.raises(BadSpec, match=r"EMNIST\.part: got 'all'"):
        EMNIST(part="all")


def test_files_are_found_where_they_are_put(tmp_path, monkeypatch):
    monkeypatch.setenv("TRAINTWICE_DATA", str(tmp_path / "all"))
    monkeypatch.setattr(FashionMNIST, "installed", (tmp_path / "debian",))
    write_mnist(tmp_path / "debian", packed=True)
    debian = FashionMNIST(validation=5).load()
    assert debian.class_names[9] == "Ankle boot"
    write_mnist(tmp_path / "all" / "FashionMNIST")
    assert FashionMNIST(validation=5).load().digest != debian.digest
    with pytest.raises(
        BadInput, match=r"KMNIST: no train-images-idx3-ubyte \(or train-images-idx3-ubyte.gz\).*traintwice fetch KMNIST$"
    ):
        KMNIST().load()


def test_pictures_and_labels_of_other_numbers(tmp_path):
    write_mnist(tmp_path)
    (tmp_path / "t10k-labels-idx1-ubyte").write_bytes(idx(np.zeros(7, np.uint8)))
    with pytest.raises(BadInput, match="MNIST: got 300 pictures and 7 labels"):
        MNIST(str(tmp_path), validation=5).load()
    (tmp_path / "t10k-labels-idx1-ubyte").write_bytes(idx(np.full(300, 10, np.uint8)))
    with pytest.raises(BadInput, match="got labels from 10 to 10, expected 0 to 9"):
        MNIST(str(tmp_path), validation=5).load()


def test_without_a_validation_split_all_training_pictures_train(tmp_path):
    write_mnist(tmp_path)
    whole, part = MNIST(str(tmp_path), validation=0).load(), MNIST(str(tmp_path), validation=10).load()
    assert len(whole.train) == len(part.train) + 10
    assert whole.validation is whole.test
