"""Plots of results, made from their JSON lines: `python -m benchmarks.plots benchmarks/results/*.txt`."""
