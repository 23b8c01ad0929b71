"""The relational tables, for SQLite and PostgreSQL alike.

Times are UTC in milliseconds. Documents are the JSON of the models in `gateway.core`, validated when they are read.
A change here comes with a migration; a test compares the two.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    false,
    text,
)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(column_0_N_label)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)

Code = String(64)
Key = BigInteger().with_variant(Integer, "sqlite")
"""A generated key: SQLite numbers rows only in a plain INTEGER."""
Bytes = LargeBinary
Milliseconds = BigInteger

hub_state = Table(
    "hub_state",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),  # always 1
    # Grows when the hub is restored from a backup; only a new generation may acknowledge less than before.
    Column("generation", Integer, nullable=False),
    # When everything under way was last marked for judging, by whichever process had the turn.
    Column("patrolled_at_ms", Milliseconds, nullable=False, server_default="0"),
    # Grows with each boot that is dated anew; boots.revision says when each was last.
    Column("dating_revision", BigInteger, nullable=False, server_default="0"),
)

# --- gateways -------------------------------------------------------------------------------------------------------

gateways = Table(
    "gateways",
    metadata,
    Column("name", Code, primary_key=True),
    Column("created_at_ms", Milliseconds, nullable=False),
    Column("revoked_at_ms", Milliseconds),
    Column("online", Boolean, nullable=False, server_default=false()),
    Column("status_at_ms", Milliseconds),
    Column("sealed_at_ms", Milliseconds),  # of the newest segment in the chain
    Column("received_at_ms", Milliseconds),
    # What its log last said of its clock.
    Column("clock_trusted", Boolean),
    Column("clock_error_ms", Milliseconds),
    Column("clock_reference", String(16)),
    Column("clock_at_ms", Milliseconds),
    # It stands at a reception: it is told of every box, and reads out what came without a vehicle.
    Column("reception", Boolean, nullable=False, server_default=false()),
)

gateway_keys = Table(
    "gateway_keys",
    metadata,
    Column("gateway", Code, ForeignKey("gateways.name"), primary_key=True),
    Column("public_key", Bytes, primary_key=True),
    Column("token_hash", Bytes, nullable=False, unique=True),
    Column("enrolled_at_ms", Milliseconds, nullable=False),
    Column("revoked_at_ms", Milliseconds),
    # The epoch that began with the key after this one, and since when that epoch is here, with all before it.
    Column("successor_epoch", Bytes),
    Column("retired_at_ms", Milliseconds),
)

enrolment_codes = Table(
    "enrolment_codes",
    metadata,
    Column("code_hash", Bytes, primary_key=True),
    Column("gateway", Code, nullable=False),
    Column("expires_at_ms", Milliseconds, nullable=False),
    Column("used_by", Bytes),  # the public key that used it
)

# --- people and programs --------------------------------------------------------------------------------------------

users = Table(
    "users",
    metadata,
    Column("name", Code, primary_key=True),
    Column("printed_name", String(120), nullable=False),
    Column("roles", Text, nullable=False),  # JSON list
    Column("password_hash", Text),  # Argon2id; None where the sign-on is the only way in
    Column("subject", String(255), unique=True),  # who the sign-on says it is: issuer, blank, subject
    Column("created_at_ms", Milliseconds, nullable=False),
    Column("disabled_at_ms", Milliseconds),
    Column("failures", Integer, nullable=False, server_default="0"),  # wrong passwords in a row
    Column("rests_until_ms", Milliseconds),
)

sessions = Table(
    "sessions",
    metadata,
    Column("secret_hash", Bytes, primary_key=True),
    Column("account", Code, ForeignKey("users.name"), nullable=False, index=True),
    Column("opened_at_ms", Milliseconds, nullable=False),
    Column("used_at_ms", Milliseconds, nullable=False),
    Column("expires_at_ms", Milliseconds, nullable=False),
    Column("signed_on", Boolean, nullable=False, server_default=false()),  # opened by the sign-on
)

# Ways to the sign-on from which nobody has come back yet.
sign_ons = Table(
    "sign_ons",
    metadata,
    Column("state_hash", Bytes, primary_key=True),
    Column("browser_hash", Bytes, nullable=False),
    Column("next_path", Text, nullable=False),
    # Of a way that ends in a proof and not in a session: what for, and the session that asks.
    Column("purpose", String(255)),
    Column("session_hash", Bytes),
    Column("begun_at_ms", Milliseconds, nullable=False, index=True),
)

# That the owner of a session has just shown once more who they are, for one purpose and one use.
proofs = Table(
    "proofs",
    metadata,
    Column("session_hash", Bytes, primary_key=True),
    Column("purpose", String(255), primary_key=True),
    Column("account", Code, nullable=False),
    Column("expires_at_ms", Milliseconds, nullable=False),
)

api_tokens = Table(
    "api_tokens",
    metadata,
    Column("id", Key, primary_key=True),
    Column("label", Code, nullable=False),
    Column("account", Code, ForeignKey("users.name"), nullable=False),
    Column("rights", Text, nullable=False),  # JSON list
    Column("token_hash", Bytes, nullable=False, unique=True),
    Column("made_at_ms", Milliseconds, nullable=False),
    Column("expires_at_ms", Milliseconds, nullable=False),
    Column("revoked_at_ms", Milliseconds),
)

# --- the replicated log ---------------------------------------------------------------------------------------------

epochs = Table(
    "epochs",
    metadata,
    Column("id", Key, primary_key=True),
    Column("gateway", Code, ForeignKey("gateways.name"), nullable=False),
    Column("epoch", Bytes, nullable=False),
    Column("parent_epoch", Bytes),
    Column("parent_offset", BigInteger),
    Column("root", Boolean, nullable=False, server_default=false()),  # began from nothing on disk
    Column("next_offset", BigInteger, nullable=False),
    Column("head", Bytes, nullable=False),
    Column("opened_at_ms", Milliseconds, nullable=False),
    # How far the projection to InfluxDB has it; an epoch is in the index while it waits.
    Column("projected_offset", BigInteger, nullable=False, server_default="0"),
    UniqueConstraint("gateway", "epoch"),
    # By the epoch first, which is random: many are asked for at once, of many gateways.
    Index("ix_epochs_epoch", "epoch"),
    Index("ix_epochs_parent", "parent_epoch", "gateway", "parent_offset"),
    Index("ix_epochs_newest", "gateway", "id"),
    Index(
        "ix_epochs_waiting",
        "id",
        sqlite_where=text("projected_offset < next_offset"),
        postgresql_where=text("projected_offset < next_offset"),
    ),
)

segments = Table(
    "segments",
    metadata,
    Column("id", Key, primary_key=True),
    Column("epoch_id", Key, ForeignKey("epochs.id"), nullable=False),
    Column("position", BigInteger, nullable=False),
    Column("hash", Bytes, nullable=False),
    Column("verbatim", Bytes, nullable=False),
    Column("sealed_at_ms", Milliseconds, nullable=False),
    Column("received_at_ms", Milliseconds, nullable=False),
    Column("config_version", Integer, nullable=False),
    # Only what stands in the contiguous, chained prefix of its epoch is indexed and read.
    Column("chained", Boolean, nullable=False),
    # "readable"; "dropped": the vehicle had to let the payload go; "undecodable": see quarantine;
    # "removed": retention has removed the payload, and a removal says so.
    Column("content", String(16), nullable=False),
    UniqueConstraint("epoch_id", "position"),
    Index(
        "ix_segments_held",
        "epoch_id",
        "position",
        sqlite_where=text("NOT chained"),
        postgresql_where=text("NOT chained"),
    ),
)

logger_hours = Table(
    "logger_hours",
    metadata,
    Column("logger", Code, primary_key=True),
    Column("hour", BigInteger, primary_key=True, autoincrement=False),  # since 1970
    Column("epoch_id", Key, ForeignKey("epochs.id"), primary_key=True, autoincrement=False),
    Column("block", BigInteger, primary_key=True, autoincrement=False),  # of offsets
    Column("places", BigInteger, nullable=False),  # a bit for each segment of the block; see gateway.hub.record.index
    sqlite_with_rowid=False,
)

# --- time -----------------------------------------------------------------------------------------------------------

boots = Table(
    "boots",
    metadata,
    Column("id", Key, primary_key=True),
    Column("gateway", Code, ForeignKey("gateways.name"), nullable=False),
    Column("boot", Bytes, nullable=False),
    # Bounds of UTC less monotonic time, from outside: the record cannot be older than this, or newer than its receipt.
    Column("earliest_ms", Milliseconds),
    Column("latest_ms", Milliseconds),
    # gateway.core.dating.Dating in MessagePack, as it is applied to what is read; null: not dated yet.
    Column("dating", Bytes),
    Column("due", Boolean, nullable=False, server_default=false()),
    Column("revision", BigInteger, nullable=False, server_default="0", index=True),
    UniqueConstraint("gateway", "boot"),
    Index("ix_boots_due", "id", sqlite_where=text("due"), postgresql_where=text("due")),
)

clock_marks = Table(
    "clock_marks",
    metadata,
    Column("boot_id", Key, ForeignKey("boots.id"), primary_key=True, autoincrement=False),
    Column("monotonic_ms", Milliseconds, primary_key=True, autoincrement=False),
    Column("at_ms", Milliseconds, primary_key=True, autoincrement=False),
    Column("error_ms", Milliseconds, nullable=False),
)

untrusted_segments = Table(
    "untrusted_segments",
    metadata,
    Column("segment_id", Key, ForeignKey("segments.id"), primary_key=True, autoincrement=False),
    Column("boot_id", Key, ForeignKey("boots.id"), nullable=False, index=True),
)

stops = Table(
    "stops",
    metadata,
    Column("segment_id", Key, ForeignKey("segments.id"), primary_key=True, autoincrement=False),
    Column("number", Integer, primary_key=True, autoincrement=False),  # among the records of its segment
    Column("gateway", Code, nullable=False),
    Column("act", String(16), nullable=False),
    Column("place", String(80), nullable=False),
    Column("is_site", Boolean, nullable=False),
    Column("at_ms", Milliseconds, nullable=False),
    Column("error_ms", Milliseconds, nullable=False),
    Column("trusted", Boolean, nullable=False),
    Index("ix_stops_gateway_at_ms", "gateway", "at_ms"),
)

quarantine = Table(
    "quarantine",
    metadata,
    Column("id", Key, primary_key=True),
    Column("source", String(16), nullable=False),
    Column("gateway", Code, nullable=False),
    Column("code", String(32), nullable=False),
    Column("reason", Text, nullable=False),
    Column("hash", Bytes, nullable=False),
    Column("verbatim", Bytes, nullable=False),
    Column("times", BigInteger, nullable=False),
    Column("first_at_ms", Milliseconds, nullable=False),
    Column("last_at_ms", Milliseconds, nullable=False),
    UniqueConstraint("source", "gateway", "code", "hash"),
)

# --- the registry ---------------------------------------------------------------------------------------------------

configurations = Table(
    "configurations",
    metadata,
    Column("gateway", Code, ForeignKey("gateways.name"), primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("document", Text, nullable=False),
    Column("created_at_ms", Milliseconds, nullable=False),
)

loggers = Table(
    "loggers",
    metadata,
    Column("address", Code, primary_key=True),
    Column("document", Text, nullable=False),
)

# Loggers that somebody has said are lost; found again, a row goes. The audit trail holds both.
lost_loggers = Table(
    "lost_loggers",
    metadata,
    Column("logger", Code, ForeignKey("loggers.address"), primary_key=True),
    Column("at_ms", Milliseconds, nullable=False),
    Column("who", Code, nullable=False),
    Column("reason", Text, nullable=False),
)

# The documents' own statements, to find loggers by box and time. 0: from the beginning.
assignments = Table(
    "assignments",
    metadata,
    Column("logger", Code, ForeignKey("loggers.address"), primary_key=True),
    Column("from_ms", Milliseconds, primary_key=True, autoincrement=False),
    Column("until_ms", Milliseconds),
    Column("box", Code, nullable=False, index=True),
)

# What each gateway said last of a fault that lasts: that it began, or that it is over.
logger_faults = Table(
    "logger_faults",
    metadata,
    Column("logger", Code, primary_key=True),
    Column("code", String(32), primary_key=True),
    Column("gateway", Code, primary_key=True),
    Column("at_ms", Milliseconds, nullable=False),
    Column("over", Boolean, nullable=False),
    Column("detail", Text, nullable=False),
)

# Each stretch of a logger's memory that a gateway has asked for; `complete` only if the logger told it whole.
memory_reads = Table(
    "memory_reads",
    metadata,
    Column("logger", Code, primary_key=True),
    Column("gateway", Code, primary_key=True),
    Column("to_ms", Milliseconds, primary_key=True, autoincrement=False),
    Column("from_ms", Milliseconds, nullable=False),
    Column("at_ms", Milliseconds, nullable=False, index=True),
    Column("records", Integer, nullable=False),
    Column("complete", Boolean, nullable=False),
)

sites = Table(
    "sites",
    metadata,
    Column("name", Code, primary_key=True),
    Column("document", Text, nullable=False),
)

boxes = Table(
    "boxes",
    metadata,
    Column("code", Code, primary_key=True),
    Column("document", Text, nullable=False),
)

profiles = Table(
    "profiles",
    metadata,
    Column("id", Code, primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("document", Text, nullable=False),
    Column("added_at_ms", Milliseconds, nullable=False),
)

consignments = Table(
    "consignments",
    metadata,
    Column("code", Code, primary_key=True),
    Column("version", Integer, nullable=False),
    Column("document", Text, nullable=False),
    Column("begins_ms", Milliseconds),
    Column("received_at_ms", Milliseconds, index=True),
    Column("registered_at_ms", Milliseconds, nullable=False),
    # From then on it is not judged anew: its verdict stands, and what it rests on is gone.
    Column("readings_removed_at_ms", Milliseconds),
    # The document's own statements, for queries.
    Column("receiver", Code),
    Column("vehicle", Code),
    Column("planned_ms", Milliseconds),
)

consignment_items = Table(
    "consignment_items",
    metadata,
    Column("item", Code, primary_key=True),
    Column("consignment", Code, ForeignKey("consignments.code"), primary_key=True),
    Column("kind", String(16)),
)

carriages = Table(
    "carriages",
    metadata,
    Column("id", Key, primary_key=True),
    Column("consignment", Code, ForeignKey("consignments.code"), nullable=False, index=True),
    Column("box", Code, nullable=False),
    Column("begins_ms", Milliseconds, nullable=False),
    Column("ends_ms", Milliseconds),
    Index("ix_carriages_box_begins_ms", "box", "begins_ms"),
    Index("ix_carriages_box_ends_ms", "box", "ends_ms"),
)

# --- what was found -------------------------------------------------------------------------------------------------

judgements = Table(
    "judgements",
    metadata,
    Column("id", Key, primary_key=True),
    Column("consignment", Code, nullable=False),
    Column("item", Code, nullable=False),
    Column("examination", Code, nullable=False),
    Column("version", Integer, nullable=False),
    Column("current", Boolean, nullable=False),
    Column("verdict", String(24), nullable=False),
    Column("fingerprint", Bytes, nullable=False),
    Column("document", Text, nullable=False),
    Column("judged_at_ms", Milliseconds, nullable=False),
    UniqueConstraint("consignment", "item", "examination", "version"),
    Index(
        "ix_judgements_current",
        "consignment",
        "item",
        "examination",
        unique=True,
        sqlite_where=text("current"),
        postgresql_where=text("current"),
    ),
)

breaches = Table(
    "breaches",
    metadata,
    Column("id", Key, primary_key=True),
    Column("key", String(32), nullable=False, unique=True),
    Column("consignment", Code, nullable=False),
    Column("item", Code, nullable=False),
    Column("examination", Code, nullable=False),
    Column("rule", Code, nullable=False),
    Column("kind", String(16), nullable=False),
    Column("profile", Code, nullable=False),
    Column("profile_version", Integer, nullable=False),
    Column("state", String(16), nullable=False),  # provisional, confirmed, not_confirmed, superseded
    Column("started_at_ms", Milliseconds, nullable=False),
    Column("triggered_at_ms", Milliseconds, nullable=False),
    Column("ended_at_ms", Milliseconds),
    Column("extreme_c", Float),
    Column("minutes", Float, nullable=False),
    Column("proven", Boolean, nullable=False),
    Column("found_by", Code, nullable=False),  # "hub", or the gateway that flagged it first
    Column("found_at_ms", Milliseconds, nullable=False),
    Column("gateway", Code),
    Column("epoch", Bytes),
    Column("position", BigInteger),
    Column("config_version", Integer),
    Column("settled_at_ms", Milliseconds),  # when it was confirmed or withdrawn
    Column("returns", Integer, nullable=False, server_default="0"),  # times it came back after being withdrawn
    Column("merged_into", Key, ForeignKey("breaches.id")),
    Column("silent", String(16)),  # why it has no alert of its own; see gateway.hub.breaches.keeping.Silence
    Column("snapshot", Text),  # the broken rule as the profile of that version states it
    Index("ix_breaches_subject", "consignment", "item", "examination", "rule"),
)

breach_keys = Table(
    "breach_keys",
    metadata,
    Column("key", String(32), primary_key=True),
    Column("breach_id", Key, ForeignKey("breaches.id"), nullable=False, index=True),
)

alerts = Table(
    "alerts",
    metadata,
    Column("id", Key, primary_key=True),
    Column("kind", String(24), nullable=False),
    Column("breach_id", Key, ForeignKey("breaches.id")),
    Column("occasion", Integer, nullable=False, server_default="0"),
    Column("document", Text, nullable=False),
    Column("created_at_ms", Milliseconds, nullable=False),
    Column("sent_at_ms", Milliseconds, index=True),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("key", String(255)),  # of what is told once, and is no breach
    Column("source", Code, nullable=False, server_default=""),  # among sources, alerts leave in turn
    # Of those that are no breach's: who has taken care of it and why, or what has ended it by itself.
    Column("acknowledged_at_ms", Milliseconds),
    Column("acknowledged_by", Code),
    Column("reason", Text),
    Column("resolved_at_ms", Milliseconds),
    Column("resolution", String(32)),
    UniqueConstraint("breach_id", "kind", "occasion"),
    Index("ix_alerts_key", "key", unique=True),
    Index(
        "ix_alerts_open",
        "kind",
        "id",
        sqlite_where=text("breach_id IS NULL AND acknowledged_at_ms IS NULL AND resolved_at_ms IS NULL"),
        postgresql_where=text("breach_id IS NULL AND acknowledged_at_ms IS NULL AND resolved_at_ms IS NULL"),
    ),
)

# --- what people do with it -----------------------------------------------------------------------------------------

# Where each breach stands. Everything else of its review is in review_records, which are never changed.
reviews = Table(
    "reviews",
    metadata,
    Column("breach_id", Key, ForeignKey("breaches.id"), primary_key=True, autoincrement=False),
    Column("state", String(16), nullable=False),
    Column("assigned_to", Code),
    Column("acknowledged_by", Code),
    Column("acknowledged_at_ms", Milliseconds),
    Column("closed_at_ms", Milliseconds),
    Column("changed_at_ms", Milliseconds, nullable=False),
    Index("ix_reviews_state", "state", "breach_id"),
)

review_records = Table(
    "review_records",
    metadata,
    Column("id", Key, primary_key=True),
    Column("breach_id", Key, ForeignKey("breaches.id"), nullable=False, index=True),
    Column("event", String(16), nullable=False),
    Column("at_ms", Milliseconds, nullable=False),
    Column("who", Code, nullable=False),
    Column("printed_name", String(120), nullable=False),
    Column("document", Text, nullable=False),
    Column("corrects", Key, ForeignKey("review_records.id"), unique=True),
)

decisions = Table(
    "decisions",
    metadata,
    Column("id", Key, primary_key=True),
    Column("consignment", Code, ForeignKey("consignments.code"), nullable=False),
    Column("item", Code, nullable=False),
    Column("at_ms", Milliseconds, nullable=False),
    Column("who", Code, nullable=False),
    Column("printed_name", String(120), nullable=False),
    Column("document", Text, nullable=False),
    Column("corrects", Key, ForeignKey("decisions.id"), unique=True),
    Index("ix_decisions_item", "consignment", "item"),
)

# Entries of the editable lists that differ from those the program brings along.
choices = Table(
    "choices",
    metadata,
    Column("list", String(24), primary_key=True),
    Column("code", Code, primary_key=True),
    Column("document", Text, nullable=False),
)

inbox = Table(
    "inbox",
    metadata,
    Column("id", Key, primary_key=True),
    Column("breach_id", Key, ForeignKey("breaches.id"), nullable=False, unique=True),
    Column("box", Code),
    Column("entered_at_ms", Milliseconds, nullable=False),
    Column("resolved_at_ms", Milliseconds),
    Column("resolution", Text),
    Index(
        "ix_inbox_open",
        "id",
        sqlite_where=text("resolved_at_ms IS NULL"),
        postgresql_where=text("resolved_at_ms IS NULL"),
    ),
)

# Times in which a box was ready or loaded and nothing was registered in it.
vigils = Table(
    "vigils",
    metadata,
    Column("code", Code, primary_key=True),
    Column("box", Code, nullable=False),
    Column("profile", Code, nullable=False),
    Column("begins_ms", Milliseconds, nullable=False),
    Column("ends_ms", Milliseconds),
    Index("ix_vigils_box", "box", "begins_ms"),
)

# --- who is told ----------------------------------------------------------------------------------------------------

recipients = Table(
    "recipients",
    metadata,
    Column("name", Code, primary_key=True),
    Column("document", Text, nullable=False),  # with its channels' addresses, which are secrets
)

notification_policies = Table(
    "notification_policies",
    metadata,
    Column("name", Code, primary_key=True),
    Column("document", Text, nullable=False),
)

# Alerts for which it is settled who is told, and by which policy ("" where nobody could be).
notices = Table(
    "notices",
    metadata,
    Column("alert_id", Key, ForeignKey("alerts.id"), primary_key=True, autoincrement=False),
    Column("policy", Code, nullable=False),
    Column("planned_at_ms", Milliseconds, nullable=False),
)

# What leaves: one or several deliveries to one channel, under one id however often it is tried.
messages = Table(
    "messages",
    metadata,
    Column("id", Key, primary_key=True),
    Column("uid", Code, nullable=False, unique=True),
    Column("recipient", Code, nullable=False),
    Column("channel", Code, nullable=False),
    Column("state", String(16), nullable=False),  # waiting, sent, failed
    Column("made_at_ms", Milliseconds, nullable=False),  # real time, as is due_ms
    Column("due_ms", Milliseconds, nullable=False),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("failure", Text, nullable=False, server_default=""),
    Column("sent_at_ms", Milliseconds),
    Index("ix_messages_waiting", "state", "due_ms"),
    Index("ix_messages_recent", "recipient", "channel", "made_at_ms"),
)

deliveries = Table(
    "deliveries",
    metadata,
    Column("id", Key, primary_key=True),
    Column("alert_id", Key, ForeignKey("alerts.id"), nullable=False),
    Column("recipient", Code, nullable=False),
    Column("channel", Code, nullable=False),
    Column("step", Integer, nullable=False),
    Column("due_ms", Milliseconds, nullable=False),  # domain time
    Column("state", String(16), nullable=False),  # waiting, taken (into a message), cancelled
    Column("message_id", Key, ForeignKey("messages.id"), index=True),
    UniqueConstraint("alert_id", "recipient", "channel"),
    Index("ix_deliveries_waiting", "state", "due_ms"),
)

# One-time codes by which whoever has no account hands something in; see gateway.hub.hand_in.
hand_ins = Table(
    "hand_ins",
    metadata,
    Column("id", Key, primary_key=True),
    Column("code_hash", Bytes, nullable=False, unique=True),
    Column("box", Code, nullable=False),
    Column("requester", Code),
    Column("profile", Code),  # of items that no code rule knows
    Column("made_at_ms", Milliseconds, nullable=False),
    Column("made_by", Code, nullable=False),
    Column("expires_at_ms", Milliseconds, nullable=False, index=True),  # real time, as is undo_until_ms
    Column("revoked_at_ms", Milliseconds),
    Column("attempts", Integer, nullable=False, server_default="0"),  # hand-ins by it, those undone included
    # Null until something was handed in by it, and again after that was undone.
    Column("handed_in_at_ms", Milliseconds),
    Column("undo_until_ms", Milliseconds),
    Column("browser_hash", Bytes),
    Column("consignment", Code, index=True),
    Column("statement", Text),
)

# --- records and work -----------------------------------------------------------------------------------------------

audit = Table(
    "audit",
    metadata,
    Column("id", Key, primary_key=True),
    Column("at_ms", Milliseconds, nullable=False),
    Column("who", Code, nullable=False),
    Column("act", String(32), nullable=False),
    Column("subject", String(160), nullable=False, index=True),
    Column("old", Text),
    Column("new", Text),
    Column("reason", Text, nullable=False, server_default=""),
    Column("previous", Bytes, nullable=False),
    Column("hash", Bytes, nullable=False),
)

heads = Table(
    "heads",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("at_ms", Milliseconds, nullable=False),
    Column("document", Text, nullable=False),  # signed, exactly as it leaves
    Column("timestamp", Bytes),  # an authority's answer (RFC 3161) over the document
)

# What retention has removed, signed: so a chain that lacks it is still proven. Never removed itself.
removals = Table(
    "removals",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("at_ms", Milliseconds, nullable=False),
    Column("kind", String(16), nullable=False),
    Column("document", Text, nullable=False),
)

departures = Table(
    "departures",
    metadata,
    Column("number", Integer, ForeignKey("heads.number"), primary_key=True),
    Column("part", String(16), primary_key=True),  # "document" or "timestamp"
    Column("destination", String(16), primary_key=True),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("due_ms", Milliseconds, nullable=False, server_default="0"),  # real time: not before
    Column("failure", Text, nullable=False, server_default=""),
    Column("done_at_ms", Milliseconds),
)

custody = Table(
    "custody",
    metadata,
    Column("id", Key, primary_key=True),
    Column("gateway", Code, nullable=False),
    Column("at_ms", Milliseconds, nullable=False),
    Column("record", LargeBinary, nullable=False),  # as sealed, MessagePack
    Column("waits", Boolean, nullable=False),  # not in the registry yet
    Index("ix_custody_gateway", "gateway", "at_ms"),
    Index("ix_custody_waits", "waits"),
)

events = Table(
    "events",
    metadata,
    Column("id", Key, primary_key=True),
    Column("kind", String(24), nullable=False),
    Column("data", Text, nullable=False),
    Column("at_ms", Milliseconds, nullable=False),
    sqlite_autoincrement=True,  # pruning must never let an id come back
)

dirty = Table(
    "dirty",
    metadata,
    Column("consignment", Code, primary_key=True),
    Column("marks", BigInteger, nullable=False),
    Column("marked_at_ms", Milliseconds, nullable=False),
)

# A cache: whatever is missing here, or does not fit, is folded again from the archive. See gateway.hub.judgement.folds.
folds = Table(
    "folds",
    metadata,
    Column("consignment", Code, primary_key=True),
    Column("identity", Bytes, nullable=False),  # a hash of all that the fold depends on but the readings
    Column("revision", BigInteger, nullable=False),  # hub_state.dating_revision when it was folded
    Column("state", Bytes, nullable=False),  # with the segments that it includes
    Column("saved_at_ms", Milliseconds, nullable=False, index=True),
    Column("keeper", String(32)),  # the watch that has it in memory, where several share the marks
)

projection_marks = Table(
    "projection_marks",
    metadata,
    Column("subject", String(16), primary_key=True),
    Column("name", String(160), primary_key=True),
    Column("due_ms", Milliseconds, nullable=False),
    Column("marks", BigInteger, nullable=False),
    Index("ix_projection_marks_due", "subject", "due_ms"),
)
