"""What OmniDrop Live is measured by: `python -m benchmarks.quality`, `.live` and `.speed`."""
