"""One adapter a model family, and the media front ends (mel, frames, positions) they share with training."""
