"""What is on record in the audit trail, in words. The record itself keeps its short codes, and they stay readable."""

from __future__ import annotations

from gateway.language import Speech
from gateway.language.speech import N_

ACTS: dict[str, str] = {
    "acknowledge_alert": N_("Alert acknowledged"),
    "acknowledge_breach": N_("Breach acknowledged"),
    "add_user": N_("Account made"),
    "approve": N_("Profile approved"),
    "assign_breach": N_("Breach given to somebody"),
    "begin_breach": N_("Review begun"),
    "change_user": N_("Account changed"),
    "close_breach": N_("Review closed"),
    "comment_breach": N_("Comment on a breach"),
    "conclude_breach": N_("Cause and action stated"),
    "correct_clock": N_("Clock corrected"),
    "decide": N_("Decision about an item"),
    "disable_user": N_("Account closed"),
    "dismiss": N_("Dismissed from the inbox"),
    "edit_choice": N_("Choice edited"),
    "enable_user": N_("Account opened again"),
    "enrol": N_("Gateway enrolled"),
    "export": N_("Exported"),
    "find_breach": N_("Breach runs on: the logger was found"),
    "find_logger": N_("Logger found again"),
    "hand_in": N_("Handed in"),
    "import": N_("Readings imported"),
    "issue_code": N_("One-time code made"),
    "link_user": N_("Single sign-on linked"),
    "lose_breach": N_("Breach closed: the logger is lost"),
    "lose_logger": N_("Logger lost"),
    "make_token": N_("Token made"),
    "migrate_store": N_("Database moved"),
    "move": N_("State followed the consignment"),
    "place": N_("Gateway placed"),
    "receive": N_("Received"),
    "register": N_("Registered"),
    "remove": N_("Removed"),
    "reopen_breach": N_("Review taken up again"),
    "rest_user": N_("Log-in paused after wrong passwords"),
    "restore": N_("Hub restored from a backup"),
    "restore_breach": N_("Breach brought back by late data"),
    "retain": N_("Removed after the retention period"),
    "revoke": N_("One-time code withdrawn"),
    "revoke_key": N_("Key revoked"),
    "revoke_token": N_("Token ended"),
    "rotate_hub_key": N_("Key of the hub changed"),
    "rotate_key": N_("Key changed"),
    "set_password": N_("Password set"),
    "sign_breach": N_("Breach signed"),
    "swap": N_("Logger exchanged"),
    "undo": N_("Hand-in undone"),
    "unlink_user": N_("Single sign-on unlinked"),
    "withdraw_breach": N_("Breach removed by late data"),
    "write_heads": N_("Signed heads sent out"),
}
_KINDS: dict[str, str] = {
    "alert": N_("alert {code}"),
    "boot": N_("clock of {code}"),
    "box": N_("box {code}"),
    "breach": N_("breach {code}"),
    "choice": N_("choice {code}"),
    "consignment": N_("consignment {code}"),
    "gateway": N_("gateway {code}"),
    "heads": N_("heads {code}"),
    "inbox": N_("inbox {code}"),
    "item": N_("item {code}"),
    "logger": N_("logger {code}"),
    "policy": N_("rule {code}"),
    "profile": N_("profile {code}"),
    "recipient": N_("recipient {code}"),
    "removal": N_("removal {code}"),
    "site": N_("place {code}"),
    "token": N_("token {code}"),
    "user": N_("account {code}"),
}
_ALONE: dict[str, str] = {
    "audit": N_("the audit trail"),
    "hub": N_("the hub"),
    "indicators": N_("the indicators"),
    "readings": N_("readings"),
    "retention": N_("what is kept"),
}
_PROGRAMS: dict[str, str] = {
    "command line": N_("the command line"),
    "enrolment": N_("the gateway itself, with its code"),
    "hub": N_("the hub"),
    "sign-on": N_("the single sign-on"),
}


def say_act(act: str, speech: Speech) -> str:
    """Return what was done; an act without words of its own is its code."""
    return speech.gettext(ACTS[act]) if act in ACTS else act


def say_subject(subject: str, speech: Speech) -> str:
    """Return what it was done to: "consignment SEND-4" in the reader's language."""
    kind, _, code = subject.partition(" ")
    if code and kind in _KINDS:
        return speech.gettext(_KINDS[kind]).format(code=code)
    return speech.gettext(_ALONE[subject]) if subject in _ALONE else subject


def say_who(who: str, speech: Speech) -> str:
    """Return who did it: the account's name, or which part of the system."""
    return speech.gettext(_PROGRAMS[who]) if who in _PROGRAMS else who
