"""How far a breach's review has come, what was done about it, and what a signature means: one wording everywhere."""

from __future__ import annotations

from gateway.language.speech import N_

STATES: dict[str, str] = {
    "open": N_("Not acknowledged"),
    "acknowledged": N_("Acknowledged"),
    "in_review": N_("In review"),
    "closed": N_("Closed"),
}
EVENTS: dict[str, str] = {
    "acknowledge": N_("Acknowledged"),
    "assign": N_("Given to {to}"),
    "comment": N_("Comment"),
    "begin": N_("Review begun"),
    "conclude": N_("Root cause and corrective action"),
    "close": N_("Closed"),
    "sign": N_("Signed"),
    "reopen": N_("Taken up again"),
    "withdraw": N_("Removed by late data"),
    "restore": N_("Brought back by late data"),
    "lose": N_("Closed: the logger is lost"),
    "find": N_("The logger was found again"),
}
MEANINGS: dict[str, str] = {"reviewed": N_("I have reviewed it"), "approved": N_("I approve the review")}
