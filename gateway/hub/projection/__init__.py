"""The projection: what the archive says, as points in InfluxDB. It can be lost and made anew at any time.

points     what a point of each measurement looks like; pure
settling   which readings new observations add, change or withdraw; pure, with reads of the archive
portions   what waits: segments behind the cursor of each epoch
marks      what else waits: breaches, consignments, hours of the long history
writing    InfluxDB's v2 write interface, and what its answers mean
projector  one step of all of it; rebuilding
running    the hub's task: backs off, and never holds up anything else
setup      buckets and retention
history    weeks and months of a logger, decimated, from InfluxDB or from the archive
"""
