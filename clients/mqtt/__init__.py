"""Ask and listen over MQTT: a worked example on top of paho-mqtt."""
