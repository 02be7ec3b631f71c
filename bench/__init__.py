"""Benchmarks: figures beside budgets and beside a ceiling measured in the same run."""
