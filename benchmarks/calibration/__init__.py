"""Choosing how a model is pruned: fusion depth, schedule, score and diversity, measured on a calibration set."""
