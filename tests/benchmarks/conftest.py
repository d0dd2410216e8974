"""The pruner's tiny random thinker, for benchmarks that need a model in which attention matters."""

from tests.pruner.conftest import load_tiny, tiny_directory, tiny_model

__all__ = ["load_tiny", "tiny_directory", "tiny_model"]
