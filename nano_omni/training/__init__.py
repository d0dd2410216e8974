"""Training of nano-omni: many questions per stream in one packed forward pass, rendered and damaged on the device."""
