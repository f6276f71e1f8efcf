"""Measurements of the engines in Markdown."""

from traintwice_reproduction.pages.speed import ratio, table, taken


def test_ratios_of_medians_and_of_turns():
    measured = {
        "settings": {
            "optimizer": "sgd",
            "threads": 1,
            "processes": 1,
            "repeat": 3,
            "cpu_time": True,
            "machine": {"processor": "some", "torch": "2", "numpy": "2"},
        },
        "cases": {
            "narrow": {
                "ours": "ours, stacked",
                "rivals": {
                    "tuned loop": {"seconds": [6.0, 4.0, 5.0]},
                    "ours, stacked": {"seconds": [2.0, 2.0, 1.0]},
                    "JAX": {"not_here": "no jax"},
                },
                "rates": {"ours, stacked": 10.0, "tuned loop": 4.0},
                "flops": 6,
                "peak": 100.0,
                "two_processes": {"ours, stacked": 18.0, "tuned loop": 9.0},
            }
        },
    }
    case = taken(measured, "2026-01-01")["narrow"]
    assert ratio(case, "tuned loop") == "2.50 (2.00–5.00)"
    assert ratio(case, "JAX") == "–"
    assert case["of_peak"] == {"ours, stacked": 0.6, "tuned loop": 0.24}
    assert "| 60% | – | 24% | 200% | some | 1 × 3 turns, 2026-01-01 |" in table({"narrow": case})
