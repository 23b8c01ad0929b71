"""A simulated fleet for sizing an installation: many gateways that seal, sign and send as vehicles do.

vehicles      a gateway's log, sealed ahead of time
registration  enrols the gateways and registers what they carry, over the hub's API
sending       paces the fleet over MQTT, honours the hub's acknowledgements, sends again what was lost
"""
