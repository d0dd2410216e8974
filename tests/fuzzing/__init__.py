"""Generated inputs for everything that strangers can send: SDP, JSON, WHIP requests and MQTT messages."""
