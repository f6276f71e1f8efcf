"""Reproduction of two papers with traintwice: their tables and figures, their claims, and the pages of docs/ made from the results.

`traintwice list` shows the studies. `python -m traintwice_reproduction --help` runs them for the pages and rewrites the pages.

AD is "Anti-Distillation: Improving Reproducibility of Deep Networks" (Shamir & Coviello, 2020), CH is "On the Reproducibility of Neural
Network Predictions" (Bhojanapalli et al., 2021).
"""
