"""One real WebRTC stream for minutes, with questions, on the model and device that matter: `python -m
benchmarks.endurance`."""
