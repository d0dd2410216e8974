"""The HTTP side of the service: routes, authentication, limits, problem documents and the page."""
