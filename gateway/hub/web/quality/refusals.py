"""Why an act was not done, in the reader's words."""

from __future__ import annotations

from http import HTTPStatus

from gateway.core.errors import InputError
from gateway.hub.breaches.lifecycle import NotNowError
from gateway.hub.review.competence import NotYoursError
from gateway.hub.review.desk import TEXT_MAX, UnknownBreachError
from gateway.language import Speech
from gateway.language.mistakes import TOO_LONG
from gateway.language.speech import N_

_FIELDS = {
    "reason": N_("Give a reason, in words."),
    "text": N_("Say it in words."),
    "comment": N_("Say it in words."),
    "cause": N_("Choose a root cause from the list."),
    "action": N_("Choose a corrective action from the list."),
    "ending": N_("It still runs: choose why nothing more will come of it."),
    "to": N_("There is no account of this name."),
    "ids": N_("Select at least one breach."),
    "corrects": N_("What was to be corrected is not there, or is corrected already. Look again."),
    "meaning": N_("Choose what the signature means."),
    "password": N_("This is not your password, or your account rests for a while."),
}
_IDENTITY = N_("This looks like a national identity number. Identities do not belong here.")
_NOT_YOURS = N_("Nothing was stored: this is for others. A comment is corrected by whoever wrote it.")
_NOT_FOR_YOUR_ROLE = N_("Nothing was stored: your role does not take care of one of these.")
_NOT_NOW = N_("Nothing was stored: it has changed meanwhile. Look at it again.")


def say_refusal(error: InputError | NotNowError | NotYoursError, speech: Speech) -> tuple[str, HTTPStatus]:
    """Return the sentence and the status of the answer."""
    if isinstance(error, NotNowError):
        return speech.gettext(_NOT_NOW), HTTPStatus.CONFLICT
    if isinstance(error, NotYoursError):
        said = _NOT_YOURS if "comment" in str(error) else _NOT_FOR_YOUR_ROLE
        return speech.gettext(said), HTTPStatus.FORBIDDEN
    if isinstance(error, UnknownBreachError):
        return speech.gettext(_NOT_NOW), HTTPStatus.NOT_FOUND
    if "identity number" in error.reason:
        return speech.gettext(_IDENTITY), HTTPStatus.UNPROCESSABLE_ENTITY
    if "at most" in error.reason and error.field != "ids":
        return speech.gettext(TOO_LONG).format(n=TEXT_MAX), HTTPStatus.UNPROCESSABLE_ENTITY
    known = _FIELDS.get(error.field)
    said = f"{error.field}: {error.reason}" if known is None else speech.gettext(known)
    return said, HTTPStatus.UNPROCESSABLE_ENTITY
