import pytest
from by_hand import close, value

from traintwice.errors import BadInput
from traintwice.losses import (
    CrossEntropy,
    Only,
)


def test_only_some_components(batch):
    logits, labels = batch
    last = len(logits) - 1
    assert value(Only(CrossEntropy(), (last,)), logits, labels) == close(value(CrossEntropy(), logits[last:], labels))
    with pytest.raises(BadInput, match="counted from 0"):
        value(Only(CrossEntropy(), (last + 1,)), logits, labels)
