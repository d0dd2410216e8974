"""Clients of the service: the page, the Python library and command line."""
