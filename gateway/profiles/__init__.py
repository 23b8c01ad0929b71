"""The profile library: TOML files beside this module, and the loader that names file, line and field of a fault.

Every profile here is an example with its source; the laboratory or the pharmacy approves its own copy.
"""

from __future__ import annotations

from gateway.profiles.library import (
    find,
    find_faults,
    find_text_faults,
    is_path,
    load,
    load_all,
    load_file,
    names,
    read_profile,
    text_of,
)
from gateway.profiles.writing import with_version, write_toml

__all__ = [
    "find",
    "find_faults",
    "find_text_faults",
    "is_path",
    "load",
    "load_all",
    "load_file",
    "names",
    "read_profile",
    "text_of",
    "with_version",
    "write_toml",
]
