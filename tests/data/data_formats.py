"""Files of the published formats, byte by byte."""

import gzip

import numpy as np
from scipy.io import savemat

from traintwice.data import ImageFolder

RNG = np.random.default_rng(7)


def idx(array):
    """The bytes of an IDX file: zero, zero, 8 for unsigned bytes, axes, lengths highest byte first, values."""
    out = bytes([0, 0, 8, array.ndim])
    for length in array.shape:
        out += bytes([length >> 24 & 255, length >> 16 & 255, length >> 8 & 255, length & 255])
    for value in array.reshape(-1).tolist():
        out += bytes([value])
    return out


def write_mnist(folder, *, names=("train-{}", "t10k-{}"), sizes=(30, 300), labels=10, first=0, packed=False):
    """Four IDX files; returns pictures and labels of training and test."""
    folder.mkdir(parents=True, exist_ok=True)
    found = []
    for name, size in zip(names, sizes, strict=True):
        pictures = RNG.integers(0, 256, size=(size, 4, 3), dtype=np.uint8)
        marks = (RNG.permutation(size) % labels + first).astype(np.uint8)
        for kind, array in (("images-idx3-ubyte", pictures), ("labels-idx1-ubyte", marks)):
            path = folder / name.format(kind)
            if packed:
                path.with_name(path.name + ".gz").write_bytes(gzip.compress(idx(array)))
            else:
                path.write_bytes(idx(array))
        found += [pictures, marks]
    return found


def write_cifar(path, records, *, labels):
    """A file of so many records, zeros but for those given as {number: (label bytes, picture 3 32 32)}."""
    number, given = records
    width = labels + 3072
    with path.open("wb") as file:
        file.truncate(number * width)  # a hole in the file, read as zeros
        for place, (marks, picture) in given.items():
            file.seek(place * width)
            file.write(bytes(marks))
            for channel in range(3):  # red, green, blue
                for row in range(32):
                    file.write(picture[channel, row].tobytes())


def write_svhn(folder, *, sizes=(40, 20), extra=0):
    """MATLAB files as SVHN's: X 32 32 3 N, y N 1 from 1 to 10; returns pictures N 32 32 3 and labels of each."""
    folder.mkdir(parents=True, exist_ok=True)
    found = []
    for name, size in zip(("train", "test", "extra"), (*sizes, extra), strict=True):
        if size:
            pictures = RNG.integers(0, 256, size=(size, 32, 32, 3), dtype=np.uint8)
            labels = np.resize(np.arange(1, 11), size).astype(np.uint8)
            savemat(folder / f"{name}_32x32.mat", {"X": pictures.transpose(1, 2, 3, 0), "y": labels[:, None]})
            found.append((pictures, labels))
    return found


def criteo_rows(rows, seed=0):
    """Lines with what they say: labels, numbers (None where empty), categories (None where empty)."""
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(rows):
        numbers = [None if rng.random() < 0.2 else int(rng.integers(-3, 10**6)) for _ in range(13)]
        categories = [None if rng.random() < 0.2 else int(rng.integers(0, 2**32)) for _ in range(26)]
        found.append((int(rng.integers(0, 2)), numbers, categories))
    return found


def criteo_text_of(rows, end=b"\n"):
    def line(label, numbers, categories):
        fields = [str(label), *["" if n is None else str(n) for n in numbers]]
        return "\t".join([*fields, *["" if c is None else f"{c:08x}" for c in categories]]).encode()

    return end.join(line(*row) for row in rows) + end


def small_pictures(folder, **settings):
    return ImageFolder(str(folder), validation=4, resize=10, size=8, **settings)
