"""Set-up pages: boxes, loggers, gateways, consignments, profiles, people. Plain forms; each room audits its acts."""
