"""What it costs to encode a stream window by window, and what a picture that stands still saves."""
