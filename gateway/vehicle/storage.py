"""All that the vehicle keeps on its card, and the one thread that touches it."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from gateway.clock import boot_id
from gateway.core.errors import InputError, SegmentError
from gateway.core.segments import check_segment, parse_segment
from gateway.keys import SigningKey, VerifyKey, check_any
from gateway.vehicle.ballast import Ballast
from gateway.vehicle.database import DiskThread, is_disk_full, open_database
from gateway.vehicle.identity import Identity
from gateway.vehicle.memos import Memos
from gateway.vehicle.outbox import Outbox

DATABASE = "outbox.db"
BALLAST = "outbox.ballast"


@dataclass(frozen=True, slots=True)
class Storage:
    """The outbox and the memos on one database. Their methods are called through `disk.run`."""

    outbox: Outbox
    memos: Memos
    disk: DiskThread
    database: sqlite3.Connection

    @classmethod
    def open(
        cls, data_dir: Path, gateway: str, identity: SigningKey | Identity, *, max_bytes: int, boot: bytes | None = None
    ) -> Self:
        """Open or create; raises InputError if another process has it open."""
        who = identity if isinstance(identity, Identity) else Identity(identity)
        check = check_any(VerifyKey(public) for public in (who.key.public_bytes, *who.former))

        def is_intact(data: bytes) -> bool:
            try:
                check_segment(parse_segment(gateway, data), check)
            except SegmentError:
                return False
            return True

        ballast = Ballast(data_dir / BALLAST)
        try:
            database = open_database(data_dir / DATABASE, is_intact)
        except InputError as error:
            if not is_disk_full(error.__cause__) or not ballast.give_up():
                raise
            database = open_database(data_dir / DATABASE, is_intact)
        outbox = Outbox(
            database,
            gateway,
            who,
            boot=boot_id() if boot is None else boot,
            max_bytes=max_bytes,
            ballast=ballast,
        )
        return cls(outbox, Memos(database), DiskThread(), database)

    def close(self) -> None:
        """Finish what is under way, write the watermarks, close."""
        self.disk.close()
        self.outbox.write_watermarks()
        self.database.close()
