import numpy as np
import pytest
from data_formats import write_svhn
from scipy.io import savemat

from traintwice.data import SVHN
from traintwice.errors import BadInput


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
