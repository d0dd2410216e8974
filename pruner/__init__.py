"""OmniDrop as a library: query-guided token pruning for omni-modal models, over a stored past or live."""
