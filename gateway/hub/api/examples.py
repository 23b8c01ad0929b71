"""Examples of what is sent and answered: composed from those of fields, and from the vocabulary by their names.

A field says its own with `examples=[…]`; one that does not is looked up in the `vocabulary`, and so is a whole model.
Numbers, booleans and choices need nothing. A text that is found nowhere is, in an answer, its own name; in what is sent
it has no example, since nobody could send it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from gateway.hub.api.vocabulary import AT, AT_MS, BY_MODEL, BY_NAME

Schema = Mapping[str, Any]
_REFERENCE = "#/components/schemas/"
_NOTHING: Final = object()
_DEPTH_MAX = 12
"""Models within models, so that one that holds itself has an end."""
_MOMENTS = ("at_ms", "from_ms", "to_ms", "now_ms", "through_ms")


class NoExampleError(LookupError):
    """A text has no example; the message is the path to it."""


def compose(schema: Schema, schemas: Schema, path: str) -> object:
    """Return an example of an answer or a parameter: every field is there. Raises NoExampleError."""
    return _Composer(schemas, is_request=False).compose(schema, path)


def compose_request(schema: Schema, schemas: Schema) -> object:
    """Return an example of a body: what is required, and fields with examples of their own. Raises NoExampleError."""
    return _Composer(schemas, is_request=True).compose(schema, "")


@dataclass(frozen=True, slots=True)
class _Composer:
    """Walks a schema. A path names fields (".field") and the models that they are in (">Model")."""

    schemas: Schema
    is_request: bool

    def compose(self, schema: Schema, path: str) -> object:
        own = _own(schema)
        if own is not _NOTHING:
            return own
        if "$ref" in schema:
            return self._model(str(schema["$ref"]).removeprefix(_REFERENCE), path)
        choices = schema.get("anyOf") or schema.get("oneOf")
        if choices:
            return self._choice(schema, choices, path)
        match schema.get("type"):
            case "object":
                made: object = self._object(schema, path) if "properties" in schema else self._mapping(schema, path)
            case "array":
                made = self._array(schema, path)
            case _:
                made = self._leaf(schema, path)
        return made

    def _leaf(self, schema: Schema, path: str) -> object:
        try:
            return _value(schema, path)
        except NoExampleError:
            if self.is_request or "." not in path:
                raise
            return path.rpartition(".")[2].replace("_", " ")

    def _model(self, name: str, path: str) -> object:
        plain = name.removesuffix("-Input").removesuffix("-Output").rpartition("__")[2]
        if plain in BY_MODEL:
            return BY_MODEL[plain]
        if path.count(">") > _DEPTH_MAX:
            raise NoExampleError(path)
        schema = self.schemas[name]
        return self.compose(schema, path if "enum" in schema else f"{path}>{plain}")

    def _choice(self, schema: Schema, choices: Sequence[Schema], path: str) -> object:
        if "default" in schema and not self.is_request:
            return schema["default"]
        real = [choice for choice in choices if choice.get("type") != "null"]
        for choice in real[:-1]:
            try:
                return self.compose(choice, path)
            except NoExampleError:
                continue
        return self.compose(real[-1], path)

    def _object(self, schema: Schema, path: str) -> dict[str, object]:
        required = schema.get("required", ())
        made: dict[str, object] = {}
        for name, field in schema["properties"].items():
            is_optional = name not in required and _own(field) is _NOTHING
            if is_optional and self.is_request:
                continue
            is_default = is_optional and "default" in field
            made[name] = field["default"] if is_default else self.compose(field, f"{path}.{name}")
        return made

    def _mapping(self, schema: Schema, path: str) -> dict[str, object]:
        known = _look_up(path)
        if isinstance(known, dict):
            return known
        values, names = schema.get("additionalProperties"), schema.get("propertyNames", {})
        if "$ref" in names:
            names = self.schemas[str(names["$ref"]).removeprefix(_REFERENCE)]
        if not isinstance(values, Mapping) or not values:
            return {}
        return {names.get("enum", ["K"])[0]: self.compose(values, path)}

    def _array(self, schema: Schema, path: str) -> list[object]:
        places = schema.get("prefixItems", [schema.get("items", {})])
        return [self.compose(place, path) for place in places]


def _own(schema: Schema) -> object:
    if "example" in schema:
        return schema["example"]
    if schema.get("examples"):
        return schema["examples"][0]
    return schema.get("const", _NOTHING)


def _look_up(path: str) -> object:
    """Return what the vocabulary has for a field: in its model, by its name, as one of several."""
    step = path.rpartition(">")[2]
    name = step.rpartition(".")[2]
    for known in (step, name, name.removesuffix("s")):
        if known in BY_NAME:
            return BY_NAME[known]
    return _NOTHING


def _value(schema: Schema, path: str) -> object:
    known = _look_up(path)
    if "enum" in schema:
        return known if known in schema["enum"] else schema["enum"][0]
    match schema.get("type"):
        case "integer" | "number":
            return _number(schema, path, known)
        case "boolean":
            return schema.get("default", False)
        case "null" | None:
            return None
    return _text(schema, path, known)


def _text(schema: Schema, path: str, known: object) -> object:
    if schema.get("format") == "date-time":
        return AT
    if isinstance(known, str):
        return known
    if schema.get("default"):
        return schema["default"]
    raise NoExampleError(path)


def _number(schema: Schema, path: str, known: object) -> object:
    if isinstance(known, int | float):
        return known
    if path.endswith(_MOMENTS):
        return AT_MS
    if path.endswith("_c"):
        return 4.8
    least = schema.get("default", max(schema.get("minimum", 1), schema.get("exclusiveMinimum", 0) + 1))
    return int(least) if schema["type"] == "integer" else float(least)
