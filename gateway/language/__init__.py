"""What people read: words of two languages, numbers and moments in their reader's form. Codes come in, texts go out."""

from gateway.language.speech import ENGLISH, NORWEGIAN, OSLO, Language, Speech, speech_of

__all__ = ["ENGLISH", "NORWEGIAN", "OSLO", "Language", "Speech", "speech_of"]
