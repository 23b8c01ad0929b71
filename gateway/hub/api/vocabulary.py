"""The words of which examples of the HTTP interface are made: one day's transport, told with the same codes everywhere.

`BY_NAME` has them by a field's name, or by "Model.field" where a name means something else there; `BY_MODEL` has whole
documents, `BY_TYPE` files by their media type.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

AT: Final = "2026-10-25T12:00:00+01:00"
AT_MS: Final = 1_792_926_000_000
_HASH = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
_PUBLIC_KEY = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
_TOKEN = "ccp_an-example-and-nobodys-token"  # noqa: S105  as it says
_LOGGER = "C0:FF:EE:00:00:01"

BY_NAME: Final[Mapping[str, object]] = {
    "account": "kari",
    "acknowledged_by": "kari",
    "act": "register",
    "address": _LOGGER,
    "archive": {"segments": 2880, "observations": 17280},
    "assigned_to": "kari",
    "box": "BOX-1",
    "certificate": "CAL-2026-0117",
    "channel": "mail",
    "clock_reference": "ntp",
    "code": "C-1001",
    "comment": "The lid was open from 09:10 to 09:40.",
    "consignment": "C-1001",
    "detail": "there is nothing of that code",
    "ending": "logger_lost",
    "examination": "K",
    "extreme_c": 11.4,
    "failure": "",
    "found_by": "VAN-1",
    "gateway": "VAN-1",
    "hash": _HASH,
    "hub_public_key": _PUBLIC_KEY,
    "issuer": "https://login.hospital.example",
    "item": "T-4711",
    "key": "5f2b8c0d9e1a4736a0b1c2d3e4f50617",
    "label": "laboratory system",
    "logger": _LOGGER,
    "minutes": 30.0,
    "name": "VAN-1",
    "needs": {"battery_low": 1},
    "new": '{"code":"C-1001"}',
    "old": '{"code":"C-1001","items":[]}',
    "parameters": {"above_c": 8.0, "minutes": 30.0},
    "password": "seven quiet elks",
    "place": "stop 1",
    "previous": _HASH,
    "printed_name": "Kari Nordmann",
    "profile": "potassium",
    "public_key": _PUBLIC_KEY,
    "quarantined": {"segment_corrupt": 1},
    "reason": "the lid was open",
    "recipient": "PHARMACY-ON-CALL",
    "resolution": "recovered",
    "rule": "too-warm",
    "secret": _TOKEN,
    "snapshot": '{"rule":"too-warm","above_c":8.0,"single":"30 min"}',
    "subject": "consignment C-1001",
    "suggested": "box_open",
    "temperature_c": 4.8,
    "text": "The lid was open from 09:10 to 09:40.",
    "title": "Not Found",
    "to": "kari",
    "token": _TOKEN,
    "type": "about:blank",
    "uid": "coldchain-4711-mail",
    "url": "mailto:…@hospital.example",
    "who": "kari",
    "Account.name": "kari",
    "ApiToken.secret": _TOKEN,
    "BulkAcknowledgement.reason": "one box, left open at the ward",
    "Choice.code": "box_open",
    "Choice.en": "The box was left open",
    "Choice.nb": "Boksen sto åpen",
    "ChannelOut.id": "mail",
    "Identity.subject": "6f1c0b1e-2f5d-4d0a-9a57-4b8e0f0c1d2e",
    "GatewayState.public_key": _PUBLIC_KEY,
    "LoggerState.logger": _LOGGER,
    "NewAccount.name": "kari",
    "Reason.code": "above",
    "RecipientOut.name": "PHARMACY-ON-CALL",
    "Self.name": "kari",
    "Site.name": "LAB",
    "Swap.new": "C0:FF:EE:00:00:02",
}

_BOX = {"code": "BOX-1", "label": "blue, 12 litres", "state": "ready", "default_profile": "samples-cool"}
_CARRIAGE = {"box": "BOX-1", "begins": "2026-10-25T08:00:00+01:00"}
_PROFILE = {
    "id": "our-vaccine-fridge",
    "version": 1,
    "title": "Vaccines of this pharmacy, 2 to 8 °C",
    "kind": "medicine",
    "owner": "pharmacy",
    "source": "label of the product",
    "evidence": "proposal",
    "status": "example",
    "bands": [{"name": "fridge", "from_c": 2.0, "to_c": 8.0}],
    "limits": [{"name": "too-warm", "above_c": 8.0, "single": "30 min", "severity": "review"}],
}
_LOGGER_DOCUMENT = {
    "address": _LOGGER,
    "kind": "ruuvitag",
    "box": "BOX-1",
    "calibration": {
        "certificate": "CAL-2026-0117",
        "calibrated_at": "2026-01-17T10:00:00+01:00",
        "due_at": "2027-01-17T10:00:00+01:00",
        "offset_c": 0.1,
    },
}

BY_MODEL: Final[Mapping[str, object]] = {
    "Box": _BOX,
    "Consignment": {
        "code": "C-1001",
        "items": [
            {
                "code": "T-4711",
                "kind": "sample",
                "collected_at": "2026-10-25T07:40:00+01:00",
                "examinations": [{"code": "K", "profile": "potassium"}],
            }
        ],
        "carriage": [_CARRIAGE],
        "planned_arrival": "2026-10-25T13:00:00+01:00",
    },
    "Logger": _LOGGER_DOCUMENT,
    "Policy": {
        "name": "samples-at-night",
        "order": 50,
        "subjects": ["temperature", "time"],
        "kinds": ["sample"],
        "hours": [{"begins": "16:00", "ends": "08:00"}],
        "steps": [{"to": ["@requester"]}, {"after_min": 15, "to": ["laboratory", "quality-on-call"]}],
    },
    "Profile": _PROFILE,
    "SetUpDone": {
        "dry_run": False,
        "boxes": {"BOX-1": "new", "BOX-2": "same"},
        "loggers": {_LOGGER: "new"},
        "codes": {"VAN-1": "ABCD-EFGH-2345-JKLM-NPQR"},
    },
    "Site": {"name": "LAB", "latitude": 60.37, "longitude": 5.36, "radius_m": 150.0},
    "Swap": {"new": "C0:FF:EE:00:00:02", "reason": "battery"},
}

BY_TYPE: Final[Mapping[str, str]] = {
    "application/jsonl": '{"id":1,"who":"kari","act":"register"}\n',
    "application/pdf": "%PDF-1.7 …",
    "text/csv": "at,temperature_c\r\n2026-10-25T12:00:00+01:00,4.8\r\n",
    "text/event-stream": 'id: 4711\nevent: breach\ndata: {"breach":4}\n\n',
}
