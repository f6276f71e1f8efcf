"""What a person reads of each result; importing this room registers a sheet for every type of result."""

from traintwice.sheets.diff import diff_sheet
from traintwice.sheets.gate import gate_sheet, junit, self_test_sheet
from traintwice.sheets.models import plan_sheet, recipes_sheet

__all__ = ["diff_sheet", "gate_sheet", "junit", "plan_sheet", "recipes_sheet", "self_test_sheet"]
