"""Messages as they leave: words for people, a document for programs, one id for both."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from zoneinfo import ZoneInfo

from gateway.hub.notification.facts import Story
from gateway.hub.notification.outgoing import Outgoing
from gateway.hub.notification.recipients import Recipient
from gateway.hub.notification.wording import say, say_test
from gateway.language import Speech, speech_of
from gateway.language.speech import plain


def make_uid() -> str:
    """Return the id of a message: 128 random bits, so that two hubs never share one."""
    return f"coldchain-{secrets.token_hex(16)}"


def compose(uid: str, recipient: Recipient, stories: Sequence[Story], public_url: str) -> Outgoing:
    """Return a message about alerts."""
    said = say(stories, _speech(recipient), public_url)
    title, text = plain(said.title), plain(said.text)
    document = {
        "id": uid,
        "type": "alert" if len(stories) == 1 else "digest",
        "recipient": recipient.name,
        "title": title,
        "text": text,
        "alerts": [
            {
                "id": story.facts.alert,
                "kind": story.kind,
                "subject": story.facts.subject.value,
                "breach": story.breach,
                "created_at_ms": story.facts.created_at_ms,
                "about": dict(story.about),
            }
            for story in stories
        ],
    }
    return Outgoing(uid, title, text, document)


def compose_test(uid: str, recipient: Recipient) -> Outgoing:
    """Return a test."""
    said = say_test(_speech(recipient))
    document = {
        "id": uid,
        "type": "test",
        "recipient": recipient.name,
        "title": said.title,
        "text": said.text,
        "alerts": [],
    }
    return Outgoing(uid, said.title, said.text, document)


def _speech(recipient: Recipient) -> Speech:
    return speech_of(recipient.language, ZoneInfo(recipient.zone))
