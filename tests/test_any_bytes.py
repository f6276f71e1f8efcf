"""Whatever bytes a file holds, a reader returns or raises an error of this package; changes of what has a checksum are noticed."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from readers import READERS, seeds

FILES = [pytest.param(name, content, id=f"{name}-{i}") for name in READERS for i, content in enumerate(seeds(name))]
TOKENS = [
    b"",
    b"\0",
    b'"',
    b"\n",
    b"\r",
    b",",
    b"{",
    b"[[",
    b"-1",
    b"1e999",
    b"nan",
    b"null",
    b"\xff",
    b"9" * 30,
    b"'",
    b"\x1b[31m",
    b"true",
]


@pytest.mark.parametrize(("name", "content"), FILES)
def test_seeds(name, content, tmp_path):
    READERS[name].errors(content, tmp_path)


@pytest.mark.parametrize("name", READERS)
def test_changed_seeds(name, tmp_path_factory):
    folder, known = tmp_path_factory.mktemp("x"), seeds(name)

    @settings(max_examples=4, deadline=None)
    @given(st.data())
    def changed(data):
        content = bytearray(data.draw(st.sampled_from(known)))
        for _ in range(data.draw(st.integers(1, 3))):
            at = data.draw(st.integers(0, len(content)))
            length = data.draw(st.sampled_from([0, 1, 1, 4, 60]))
            content[at : at + length] = data.draw(st.sampled_from(TOKENS) | st.binary(min_size=1, max_size=4))
        READERS[name].errors(bytes(content), folder)

    changed()


def _flips(content):
    """The content with one bit changed, at up to 40 places."""
    for at in range(0, len(content), max(1, len(content) // 40)):
        yield at, content[:at] + bytes([content[at] ^ 4]) + content[at + 1 :]


def test_flipped_bytes_of_gzip_change_no_number(tmp_path):
    from traintwice.data._mnist import read_idx
    from traintwice.errors import TraintwiceError

    (content,), path = seeds("idx.gz"), tmp_path / "labels.gz"
    for at, flipped in _flips(content):
        path.write_bytes(flipped)
        try:
            found = read_idx(path, axes=1, advice="").tolist()
        except TraintwiceError:
            continue
        assert found == list(range(8)), at  # a byte without data: time and system in the header, padding


def test_flipped_bytes_of_a_recipe_are_noticed(tmp_path):
    from traintwice.errors import StoreError
    from traintwice.recipes import Recipe
    from traintwice.specs import identity, key_of
    from traintwice.study import Store

    store, key, known = Store(tmp_path), key_of(Recipe(), "0" * 32, 0), identity(Recipe(), "0" * 32, 0)
    store.prepare(key, known)
    note = store.folder(key) / "recipe.json"
    whole = note.read_bytes()
    for at, flipped in _flips(whole):
        note.write_bytes(flipped)
        assert store.identity(key) == {}, at
        try:
            store.prepare(key, known)
        except StoreError:
            continue
        assert note.read_bytes() == whole
