"""Simulated predictions whose true churn is known."""
