"""OmniDrop Live: the service."""
