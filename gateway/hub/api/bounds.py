"""What paths and queries may hold, so that nothing reaches a database that it cannot take."""

from __future__ import annotations

from typing import Annotated

from fastapi import Path, Query
from pydantic import StringConstraints

NUMBER_MAX = (1 << 53) - 1
"""The largest whole number that JSON keeps exactly everywhere."""

Number = Annotated[int, Path(ge=1, le=NUMBER_MAX, examples=[1])]
After = Annotated[int, Query(ge=0, le=NUMBER_MAX, description="return those with a greater id")]
Limit = Annotated[int, Query(ge=1, le=500)]
Moment = Annotated[int, Query(ge=0, le=NUMBER_MAX, description="UTC in milliseconds")]
DryRun = Annotated[bool, Query(description="only check: nothing is stored")]
Word = Annotated[str, StringConstraints(max_length=160, pattern=r"^[^\x00-\x1f]*$")]
"""A line of text: a name, an act, a subject."""
Words = Annotated[str, StringConstraints(max_length=4000, pattern=r"^[^\x00]*$", strip_whitespace=True)]
"""What somebody has written."""
