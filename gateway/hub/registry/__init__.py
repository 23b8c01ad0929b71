"""The registry: loggers, boxes, profiles, consignments and gateways, and what each gateway is given of them."""
