from hypothesis import given
from hypothesis import strategies as st

from traintwice.tables.text import columns_of, cut, pad, visible, wrap

TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\n\r"), max_size=80)


@given(TEXT, st.integers(2, 60))
def test_cut_and_pad_keep_to_the_width(text, width):
    assert columns_of(cut(text, width)) <= width
    assert columns_of(pad(cut(text, width), width)) == width


@given(TEXT, st.integers(2, 60))
def test_wrap_loses_nothing_and_keeps_to_the_width(text, width):
    lines = wrap(text, width).split("\n")
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")
    assert all(columns_of(line) <= width for line in lines)


def test_a_number_keeps_its_percent_sign():
    assert wrap("it is 12.5 % of all", 10) == "it is\n12.5 % of\nall"


@given(st.text(max_size=40))
def test_visible_leaves_nothing_that_steers_a_terminal(text):
    assert visible(text).isprintable() or all(c.isprintable() or c.isspace() or ord(c) > 0x7F for c in visible(text))
    assert not set(visible(text)) & {"\x1b", "\n", "\r", "\b", "\u202e", "\u2028"}


def test_visible_leaves_usual_text_alone():
    assert visible("Ünï 日本 'q' <b> -> 3") == "Ünï 日本 'q' <b> -> 3"
