"""What the service does when things break: networks, cameras, processes, subscribers, and time itself."""
