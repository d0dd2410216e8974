"""SceneQA accuracy of pruning methods, all on the same questions: `python -m benchmarks.quality`."""
