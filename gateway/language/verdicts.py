"""Verdicts and kinds of items in words."""

from __future__ import annotations

from gateway.core.profiles import Kind
from gateway.core.verdicts import Verdict
from gateway.language.speech import N_, Language, Speech

_VERDICTS: dict[Verdict, str] = {
    Verdict.ACCEPT: N_("Accept"),
    Verdict.REVIEW: N_("Review"),
    Verdict.INSUFFICIENT_DATA: N_("Insufficient data"),
    Verdict.REJECT: N_("Reject"),
}
_REJECTED_MEDICINE = N_("Reject (medicine)")
_MEANINGS: dict[Verdict, str] = {
    Verdict.ACCEPT: N_("The transport requirements were met."),
    Verdict.REVIEW: N_("A qualified person decides."),
    Verdict.INSUFFICIENT_DATA: N_("What was not measured could change the verdict."),
    Verdict.REJECT: N_("A transport requirement was broken."),
}
_KINDS: dict[Kind, str] = {Kind.SAMPLE: N_("Sample"), Kind.MEDICINE: N_("Medicine"), Kind.STORAGE: N_("Storage")}

ACCEPT_NOTE = N_("Accept means the transport requirements were met; it releases nothing.")
DEMONSTRATION = N_("Demonstration profiles: not approved for clinical use")
MEDICINE_NOTE = N_("Only a pharmacist decides on medicines.")


def say_verdict(verdict: Verdict | None, speech: Speech, kind: Kind | None = None) -> str:
    """Return a verdict's word; in Norwegian a medicine is "Sperret" where a sample is "Avvises"."""
    if verdict is None:
        return speech.gettext(N_("Not judged yet"))
    if verdict is Verdict.REJECT and kind is Kind.MEDICINE and speech.language is Language.NB:
        return speech.gettext(_REJECTED_MEDICINE)
    return speech.gettext(_VERDICTS[verdict])


def say_meaning(verdict: Verdict, speech: Speech) -> str:
    """Return what a verdict means, in one sentence."""
    return speech.gettext(_MEANINGS[verdict])


def say_kind(kind: Kind, speech: Speech) -> str:
    """Return "Sample", "Medicine" or "Storage"."""
    return speech.gettext(_KINDS[kind])
