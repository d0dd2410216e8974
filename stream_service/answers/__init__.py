"""What subscribers see: the wire events, their log, and their way to a socket."""
