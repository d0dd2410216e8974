"""Recall over hours: events of known ages, asked of a store with a fixed budget: `python -m benchmarks.long`."""
