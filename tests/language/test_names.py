"""Words for what the record keeps as codes: nobody is to read a code where a word is known."""

from __future__ import annotations

import tomllib

from gateway.core.profiles import Profile
from gateway.hub.breaches.lifecycle import ReviewEvent, ReviewState
from gateway.hub.review.signing import Meaning
from gateway.language import ENGLISH, NORWEGIAN, reviews
from gateway.language.names import NAMES, say_name
from gateway.language.profiles import say_profile
from gateway.profiles.library import load, load_all
from tests.language.test_catalogue import DAY


def test_every_name_in_the_profiles_that_come_along_has_words() -> None:
    demonstrated = tomllib.loads(DAY.read_text(encoding="utf-8"))["profiles"]
    profiles = [*load_all(), *(Profile.model_validate(document) for document in demonstrated)]
    parts = (part for one in profiles for part in (*one.bands, *one.limits, *one.forbidden, *one.lives))
    named = {part.name for part in parts}
    assert named - set(NAMES) == set()
    assert {"use-before"} == set(NAMES) - named  # the deadline that an item states itself


def test_a_profile_is_said_in_words_and_a_local_name_stays() -> None:
    said = dict(say_profile(load("potassium"), NORWEGIAN))
    assert [text.partition(":")[0] for text in (*said["Tillatte temperaturer"], *said["Aldri"])] == [
        "omgivelsestemperatur",
        "Utenfor",
        "kjølt",
    ]
    assert say_name("ward-3-shelf", NORWEGIAN) == "ward-3-shelf"


def test_the_review_has_the_same_words_everywhere() -> None:
    assert set(reviews.STATES) == {one.value for one in ReviewState}
    assert set(reviews.EVENTS) == {one.value for one in ReviewEvent}
    assert set(reviews.MEANINGS) == {one.value for one in Meaning}
    assert ENGLISH.gettext(reviews.STATES["open"]) == "Not acknowledged"
