"""Lists that reviewers choose from: causes, corrective actions, reasons. Each hospital edits them; each edit is an act.

An entry is never removed, since records name it: it is retired, and then offered no more.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import Annotated

from pydantic import Field, StringConstraints
from sqlalchemy import Connection, select

from gateway.core.errors import InputError
from gateway.core.profiles import Model
from gateway.hub.audit.acts import Act, begin_act, record_act
from gateway.hub.database.rows import refuse_identities
from gateway.hub.database.schema import choices
from gateway.hub.database.store import Store, replace_row

LOGGER_LOST = "logger_lost"
"""The ending that is stated for whatever runs when somebody says that its logger is lost."""
CHOICES_MAX = 100
"""Entries in one list: more, and nobody finds the right one."""


class ChoiceList(StrEnum):
    """What is chosen from."""

    CAUSE = "cause"
    ACTION = "action"
    ENDING = "ending"
    REJECTION = "rejection"


Label = Annotated[str, StringConstraints(min_length=1, max_length=120, strip_whitespace=True)]
ChoiceCode = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,31}$")]


class Choice(Model):
    """An entry: its code, which records keep, and its words in English and bokmål."""

    code: ChoiceCode
    en: Label
    nb: Label
    retired: Annotated[bool, Field(description="kept for old records, offered no more")] = False


def _list(*entries: tuple[str, str, str]) -> dict[str, Choice]:
    return {code: Choice(code=code, en=en, nb=nb) for code, en, nb in entries}


DEFAULTS: dict[ChoiceList, dict[str, Choice]] = {
    ChoiceList.CAUSE: _list(
        ("box_open", "Box left open", "Boksen sto åpen"),
        ("elements_missing", "Cooling elements missing or not conditioned", "Kjøleelementer manglet eller var feil"),
        ("elements_frozen", "Cooling elements too cold", "Kjøleelementer var for kalde"),
        ("delay", "Transport took too long", "Transporten tok for lang tid"),
        ("vehicle", "Box left in a hot or cold vehicle", "Boksen sto i varm eller kald bil"),
        ("packing", "Packed wrongly", "Feil pakking"),
        ("wrong_profile", "Wrong requirement chosen", "Feil transportkrav valgt"),
        ("logger_fault", "Logger fault or misplacement", "Feil på eller plassering av temperaturlogger"),
        ("not_loaded", "Nothing was in the box", "Det var ingenting i boksen"),
        ("unknown", "Not found", "Ikke funnet"),
    ),
    ChoiceList.ACTION: _list(
        ("none", "None needed", "Ikke nødvendig"),
        ("trained", "Staff informed or trained", "Personell informert eller opplært"),
        ("repacked", "Packing instruction changed", "Pakkeinstruks endret"),
        ("equipment", "Equipment repaired or replaced", "Utstyr reparert eller byttet"),
        ("route", "Route or schedule changed", "Rute eller tidsplan endret"),
        ("profile", "Requirement corrected", "Transportkrav rettet"),
        ("case", "Nonconformity report filed in the quality system", "Avviksmelding skrevet i kvalitetssystemet"),
    ),
    ChoiceList.ENDING: _list(
        (LOGGER_LOST, "The logger is lost or broken: nothing more will come", "Temperaturloggeren er tapt"),
        ("box_emptied", "The box was emptied", "Boksen ble tømt"),
        ("item_discarded", "The item was discarded", "Prøven eller dosen ble kassert"),
        ("used", "The item was used", "Prøven eller dosen ble brukt"),
    ),
    # Reasons for rejecting a specimen, with the codes of HL7 table 0490 where it has one.
    ChoiceList.REJECTION: _list(
        ("RR", "Improper storage or transport", "Feil oppbevaring eller transport"),
        ("EX", "Expired", "Utløpt"),
        ("RB", "Broken container", "Ødelagt beholder"),
        ("RC", "Clotting", "Koagulert"),
        ("RH", "Haemolysis", "Hemolysert"),
        ("RN", "Contamination", "Forurenset"),
        ("RM", "Labelling", "Feil merking"),
        ("RD", "Missing collection date", "Prøvetakingstid mangler"),
        ("QS", "Quantity not sufficient", "For lite materiale"),
    ),
}


class Choices:
    """Reads and acts. Blocking: call it from a thread."""

    def __init__(self, store: Store, now_ms: Callable[[], int]) -> None:
        self._store = store
        self._now_ms = now_ms

    def all(self) -> dict[ChoiceList, list[Choice]]:
        """Return every list, retired entries included."""
        with self._store.read() as connection:
            return {name: list(read_choices(connection, name).values()) for name in ChoiceList}

    def put(self, name: ChoiceList, choice: Choice, who: str, reason: str = "") -> Choice:
        """Add an entry, change its words, retire it or bring it back. Raises InputError for a list that is full."""
        refuse_identities(choice)
        with self._store.write() as connection:
            begin_act(connection)
            known = read_choices(connection, name)
            old = known.get(choice.code)
            if old is None and len(known) >= CHOICES_MAX:
                raise InputError("code", f"the list {name} has {CHOICES_MAX} entries already")
            replace_row(connection, choices, list=name.value, code=choice.code, document=choice.model_dump_json())
            before = None if old is None else old.model_dump_json()
            act = Act(who, "edit_choice", f"choice {name}/{choice.code}", before, choice.model_dump_json(), reason)
            record_act(connection, act, self._now_ms())
        return choice


def read_choices(connection: Connection, name: ChoiceList) -> dict[str, Choice]:
    """Return a list by code: what the program brings along, with what was edited."""
    rows = connection.execute(select(choices.c.document).where(choices.c.list == name.value).order_by(choices.c.code))
    edited = [Choice.model_validate_json(document) for document in rows.scalars()]
    return DEFAULTS[name] | {choice.code: choice for choice in edited}


def read_offered(connection: Connection, name: ChoiceList) -> list[Choice]:
    """Return what a list offers now."""
    return [choice for choice in read_choices(connection, name).values() if not choice.retired]


def check_choice(connection: Connection, field: str, name: ChoiceList, code: str) -> str:
    """Return a code that is offered; raises InputError naming `field`."""
    found = read_choices(connection, name)
    if code not in found or found[code].retired:
        offered = ", ".join(sorted(known for known, choice in found.items() if not choice.retired))
        raise InputError(field, f"is not in the list {name}: {offered}")
    return code
