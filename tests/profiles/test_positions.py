from __future__ import annotations

import tomllib

import pytest

from gateway import profiles
from gateway.profiles.positions import lines_of

TRICKY = '''\
# a comment with [brackets] and = signs
title = "quotes \\" and # and ] and = inside"
'single # quoted' = 'it # is'
"dé\\u0066" = 1
text = """
first = 1
[not.a.table]
""" # after
long = """ends in quotes: ""\\""""""
literal = \'\'\'
x = 1
\'\'\'
nested = [ 1,
  [2, 3], # comment, with comma
  { a = 1, b = { c = [1, 2] } },
]
dotted . key = 1979-05-27 07:32:00

[table.sub]
x = 0x1F

[[shelf]]
name = "a"
[shelf.inner]
deep = true
[[shelf.books]]
title = "one"
[[shelf.books]]
title = "two"
[[shelf]]
name = "b"
'''


def test_lines_of_keys_tables_and_elements() -> None:
    lines = lines_of(TRICKY)
    assert lines[("title",)] == 2
    assert lines[("single # quoted",)] == 3
    assert lines[("déf",)] == 4
    assert lines[("text",)] == 5
    assert lines[("long",)] == 9
    assert lines[("literal",)] == 10
    assert lines[("nested",)] == 13
    assert lines[("nested", 1)] == 14
    assert lines[("nested", 1, 1)] == 14
    assert lines[("nested", 2, "b", "c", 1)] == 15
    assert lines[("dotted", "key")] == 17
    assert lines[("table", "sub")] == 19
    assert lines[("table", "sub", "x")] == 20
    assert lines[("shelf", 0)] == 22
    assert lines[("shelf", 0, "inner", "deep")] == 25
    assert lines[("shelf", 0, "books", 1, "title")] == 29
    assert lines[("shelf", 1, "name")] == 31


def _paths(value: object, path: tuple[str | int, ...] = ()) -> set[tuple[str | int, ...]]:
    found = {path} if path else set()
    if isinstance(value, dict):
        for key, child in value.items():
            found |= _paths(child, (*path, key))
    elif isinstance(value, list):
        for place, child in enumerate(value):
            found |= _paths(child, (*path, place))
    return found


@pytest.mark.parametrize("name", profiles.names())
def test_every_key_of_the_library_is_found(name: str) -> None:
    text = profiles.text_of(name)
    assert set(lines_of(text)) == _paths(tomllib.loads(text))


def test_every_key_of_a_tricky_text_is_found() -> None:
    missing = _paths(tomllib.loads(TRICKY)) - set(lines_of(TRICKY))
    assert missing <= {("table",), ("dotted",)}  # implied tables have no line of their own
