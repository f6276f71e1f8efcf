import base64

import numpy as np
import pytest

from traintwice.errors import BadInput
from traintwice.report.pictures import data_uri, png, to_bytes


@pytest.mark.parametrize("shape", [(1, 1), (5, 3), (4, 7, 1), (6, 2, 3)])
def test_decodes_to_the_same_pixels(decode, shape):
    pixels = np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)
    assert np.array_equal(decode(png(pixels)).reshape(shape), pixels)


def test_data_uri_holds_the_file():
    picture = png(np.full((2, 2), 7, np.uint8))
    head, _, content = data_uri(picture).partition(",")
    assert head == "data:image/png;base64"
    assert base64.b64decode(content) == picture


def test_scaling():
    assert to_bytes(np.array([-1.0, 0.0, 1.0]), -1.0, 1.0).tolist() == [0, 128, 255]
    assert to_bytes(np.array([3.0, 3.0]), 3.0, 3.0).tolist() == [0, 0]


@pytest.mark.parametrize("pixels", [np.zeros((2, 2)), np.zeros(4, np.uint8), np.zeros((2, 2, 2), np.uint8)])
def test_refuses_what_is_no_picture(pixels):
    with pytest.raises(BadInput, match="expected uint8 of shape"):
        png(pixels)
