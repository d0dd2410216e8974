"""Published benchmarks of video understanding, ready to run on a model that answers for them."""
