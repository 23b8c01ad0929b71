"""What is wrong with something typed, on a page or in a file: sentences that several places say alike."""

from __future__ import annotations

from gateway.language.speech import N_

MISSING = N_("This is missing.")
EMPTY = N_("There is nothing in it.")
TOO_LONG = N_("At most {n} characters.")
NOT_A_CODE = N_("A code has 1 to 64 letters, digits and . _ : / + -, and begins with a letter or a digit.")
NO_SUCH_MOMENT = N_("There is no such moment.")
IDENTITY = N_(
    "This looks like a national identity number. Identities of patients do not belong here: use the code of the item or"
    " consignment."
)
UNKNOWN_BOX = N_("No box of this code is registered.")
UNKNOWN_PROFILE = N_("There is no profile of this name.")
KNOWN_CONSIGNMENT = N_("A consignment of this code is registered already.")
NO_ITEM = N_("State at least one item.")
TWO_KINDS = N_("One item is either a sample or a medicine.")
