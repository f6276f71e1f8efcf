"""Files of inputs for `traintwice predict`: what they hold is used, and what cannot be is refused in one sentence."""

import numpy as np
import pytest

from traintwice.cli._storage import _read_inputs
from traintwice.errors import BadInput

X = np.arange(20, dtype=np.float32).reshape(5, 4)


def test_inputs_and_labels(tmp_path):
    np.save(tmp_path / "x.npy", X)
    np.savez(tmp_path / "x.npz", inputs=X, labels=np.arange(5))
    inputs, labels = _read_inputs(tmp_path / "x.npy", (4,))
    np.testing.assert_array_equal(inputs, X)
    assert labels is None
    inputs, labels = _read_inputs(tmp_path / "x.npz", (4,))
    np.testing.assert_array_equal(inputs, X)
    np.testing.assert_array_equal(labels, np.arange(5))
    for given in (np.arange(5.0), np.arange(5) > 2):
        np.savez(tmp_path / "x.npz", inputs=X, labels=given)
        labels = _read_inputs(tmp_path / "x.npz", (4,))[1]
        assert labels is not None
        assert (labels.dtype, labels.tolist()) == (np.int64, given.tolist())


@pytest.mark.parametrize("shape", [(5, 4), (5, 2, 3, 4)])
def test_arrays_in_the_order_of_fortran(tmp_path, shape):
    array = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    np.save(tmp_path / "x.npy", np.asfortranarray(array))
    np.testing.assert_array_equal(_read_inputs(tmp_path / "x.npy", shape[1:])[0], array)


def damaged(path, content, kind):
    np.savez(path / "x.npz", inputs=X)
    np.save(path / "x.npy", X)
    whole = (path / f"x.{kind}").read_bytes()
    (path / f"bad.{kind}").write_bytes(content(whole))
    return path / f"bad.{kind}"


@pytest.mark.parametrize(
    ("kind", "content", "message"),
    [
        ("npz", lambda whole: whole[: len(whole) // 2], "bad.npz: cannot be read as npz .*cut short"),
        ("npz", lambda whole: whole[:150] + bytes([whole[150] ^ 255]) + whole[151:], "bad.npz: cannot be read as npz"),
        ("npy", lambda whole: b"", "bad.npy: cannot be read as npy"),
        ("npy", lambda whole: whole[:-4], "bad.npy: cannot be read as npy .*204 bytes, 208 expected"),
        ("npy", lambda whole: whole.replace(b"(5, 4)", b"(9" + b"9" * 9 + b", 4)"), "bad.npy: cannot be read as npy"),
        ("npy", lambda whole: whole.replace(b"'<f4'", b"'|O' "), "holds Python objects, which are never unpickled"),
        ("txt", lambda whole: b"hello", "the first bytes say the format"),
        ("csv", lambda whole: b"a,b\n1,2\n", "got a file of the format csv, expected npy, npz or safetensors"),
    ],
)
def test_damaged_files(tmp_path, kind, content, message):
    for other in ("txt", "csv"):
        (tmp_path / f"x.{other}").touch()
    with pytest.raises(BadInput, match=message):
        _read_inputs(damaged(tmp_path, content, kind), (4,))


def test_no_file_and_no_inputs(tmp_path):
    with pytest.raises(BadInput, match=r"nowhere\.npy: cannot be read"):
        _read_inputs(tmp_path / "nowhere.npy", (4,))
    np.savez(tmp_path / "x.npz", x=X)
    with pytest.raises(BadInput, match="has the arrays x, expected an array named inputs"):
        _read_inputs(tmp_path / "x.npz", (4,))
