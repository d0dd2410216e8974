"""How much answers depend on how a question is worded and how well it was heard: `python -m benchmarks.sensitivity`."""
