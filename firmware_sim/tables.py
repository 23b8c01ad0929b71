"""What the tables of a scenario file have in common."""

from typing import Annotated

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

Celsius = Annotated[float, Field(ge=-90, le=90)]


class Table(BaseModel):
    """A table that knows its keys and takes no other."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


class Interval(Table):
    """From a time, inclusive, to a time, exclusive."""

    begins_at: AwareDatetime = Field(alias="from")
    ends_at: AwareDatetime = Field(alias="to")
