"""Benchmarks: figures beside budgets and beside a ceiling measured in the same run.

``python -m bench.main`` prints one table; one module for each topic. Nothing here is a
test: a slow machine slows a figure and its ceiling alike, so the ratios are what says
something. Every figure is the median of a few runs, each beside its own ceiling.
"""
