"""From an existing broker into the vault: a client of the broker, which acknowledges what the node stored.

A process of its own, one for each worker of a bridge.  It imports neither the node nor a door: what it brings
goes through the node's socket, as a device's own messages go through MQTT.
"""
