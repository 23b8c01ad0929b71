"""Settings: a TOML file, overridden by environment variables ``COLDCHAIN_<SECTION>__<NAME>``."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, TomlConfigSettingsSource

from gateway.core.errors import InputError


class Settings(BaseSettings):
    """Base of each side's settings. Environment wins over the file; unknown keys are errors."""

    model_config = SettingsConfigDict(
        env_prefix="COLDCHAIN_",
        env_nested_delimiter="__",
        extra="forbid",
        frozen=True,
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Order the sources: environment, then the TOML file."""
        del dotenv_settings, file_secret_settings
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls)


S = TypeVar("S", bound=Settings)


def load_settings(model: type[S], path: Path | None) -> S:
    """Read the settings; raises InputError naming file, field and reason."""
    where = "environment" if path is None else str(path)
    if path is not None:
        _check_toml(path)
    configured = type(model.__name__, (model,), {"model_config": {**model.model_config, "toml_file": path}})
    try:
        settings: S = configured()
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"]) or "settings"
        raise InputError(field, first["msg"].removeprefix("Value error, "), where=where) from error
    return settings


def _check_toml(path: Path) -> None:
    try:
        tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError("file", error.strerror or str(error), where=str(path)) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError("file", f"not TOML: {error}", where=str(path)) from error
