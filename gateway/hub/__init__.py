"""The hub: archives, judges, alerts, shows.

Its rooms, from the ground up. None imports from one above it; import-linter checks that, by the layers in
pyproject.toml.

times         moments: milliseconds, and datetimes for people
database      tables and their history, transactions, locks
signals       rows that tell, written with what they tell: alerts, events, marks
audit         who did what, when and why
record        every segment, verbatim, and how it is found
access        people, programs, their rights
proof         that the record is complete and unaltered
breaches      which are one and the same, and where each stands
settings      a TOML file and the environment
registry      loggers, boxes, profiles, consignments, gateways
replication   from the broker to the record, and acknowledged
hand_in       what comes without a vehicle, by a one-time code
manifests     consignments from a CSV file
judgement     verdicts and breaches, in line with the record
review        what people do with breaches, alerts and items
views         how things stand; reads only
traces        the temperatures of a trip, drawn and in words
rooms         all of the above, opened together
projection    InfluxDB, in line with the record
upkeep        heads leave, old data goes, the database moves
notification  who is told, when, by which channel
tabular       readings as tables for other programs
reports       a transport as a document
api           the HTTP interface
web           pages for people
processes     the hub as one process, or as many
"""
