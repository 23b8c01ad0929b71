"""What is wrong with a field, in the reader's language: the reasons of the API, which are English."""

from __future__ import annotations

import re

from gateway.language.mistakes import MISSING, NO_SUCH_MOMENT, TOO_LONG
from gateway.language.speech import N_, Speech

_REASONS: tuple[tuple[str, str], ...] = (
    (r"field required", MISSING),
    (r"extra inputs are not permitted", N_("Nothing of this name is expected.")),
    (r"string should have at most (?P<n>\d+) characters?", TOO_LONG),
    (r"(string|value) should have at least (?P<n>\d+) (characters?|items?).*", N_("At least {n}.")),
    (r"(list|tuple|set|frozenset|value) should have at most (?P<n>\d+) items?.*", N_("At most {n}.")),
    (r"(list|tuple|set|frozenset) should have at least (?P<n>\d+) items?.*", N_("At least {n}.")),
    (r"string should match pattern .*", N_("It has characters that do not belong here.")),
    (r"input should be a valid (integer|number|decimal).*", N_("This is not a number.")),
    (r"input should be greater than or equal to (?P<n>\S+)", N_("At least {n}.")),
    (r"input should be less than or equal to (?P<n>\S+)", N_("At most {n}.")),
    (r"input should be greater than (?P<n>\S+)", N_("More than {n}.")),
    (r"input should be less than (?P<n>\S+)", N_("Less than {n}.")),
    (r"input should be a valid datetime.*", NO_SUCH_MOMENT),
    (r"input should be a valid date\b.*", N_("There is no such day.")),
    (r"(date|datetime) should .*", N_("There is no such day.")),
    (r"input should be a valid boolean.*", N_("Choose one of those offered.")),
    (r"input should be (?P<n>'.+')", N_("Choose one of these: {n}.")),
    (r"input should be ''", N_("It may also be left empty.")),
    (r"is none", N_("This is none.")),
    (r"has no host", N_("The address names no host.")),
    (r"has blanks or control characters in it", N_("It has characters that do not belong here.")),
    (r"channel (?P<n>\S+) has none", N_("A new channel needs an address.")),
    (
        r"mailto: needs a mail server, notification.mail in the settings",
        N_("For mail, the settings of the hub must name a mail server (notification.mail)."),
    ),
    (r"mailto: is followed by one mail address and nothing else", N_("After mailto: comes one address of mail.")),
    (r"a webhook has no user and password; it has a secret", N_("A webhook has a secret, no user and password.")),
    (r"what follows whsec_ is not Base64", N_("What follows whsec_ is not Base64.")),
    (
        r"unencrypted only to a host that notification.private names, and (?P<n>\S+) is none",
        N_("What is not encrypted goes only to hosts that the settings name (notification.private); {n} is none."),
    ),
    (
        r"(?P<n>\S+) is (this machine|a private address); notification.private does not name it",
        N_("{n} is an address inside: the settings must name it (notification.private)."),
    ),
    (r"the option (?P<n>\S+) is not let through", N_("The option {n} is not let through.")),
    (r"(?P<n>\S+) is none of: .*", N_("{n} is no kind of address that is let through.")),
    (
        r"apprise finds something missing or wrong in it \((?P<n>.+)\)",
        N_("Something is missing or wrong in the address ({n})."),
    ),
    (r"there are (?P<n>\d+) (recipients|policies) already", N_("There are {n} already: no more are kept.")),
)
_COMPILED = [(re.compile(pattern, re.IGNORECASE | re.DOTALL), words) for pattern, words in _REASONS]


def say_fault(reason: str, speech: Speech) -> str | None:
    """Return a reason in words of the catalogue, None if it has none for it: then only the English is there."""
    for pattern, words in _COMPILED:
        if found := pattern.fullmatch(reason):
            named = {name: text.replace("' or '", "', '") for name, text in found.groupdict().items()}
            return speech.gettext(words).format(**named)
    return None
