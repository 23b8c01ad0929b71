"""The coldchain gateway: the vehicle, the hub, and the pure core that both share."""
