"""Spoken questions about live scenes over real WebRTC: `python -m benchmarks.live`."""
