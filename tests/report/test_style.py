from traintwice.report._style import KIND_COLOURS, KIND_FILLS, KIND_SHAPES, PALETTE, marks_of


def test_no_row_wears_the_mark_of_the_baseline():
    marks = marks_of([str(n) for n in range(20)], PALETTE)
    assert marks[: len(PALETTE)] == list(PALETTE)
    assert marks.count(PALETTE[0]) == 1


def test_marks_of_findings_differ_without_colour():
    marks = {(KIND_SHAPES[k], KIND_FILLS[k] == KIND_COLOURS[k]) for k in KIND_COLOURS}
    assert len(marks) == len(KIND_COLOURS)
