"""The part of a profile that says where the sample of a scan is named."""

import re

from pydantic import Field, field_validator

from phasecast.core.sample_fields import SAMPLE_FIELDS
from phasecast.profiles.base import ProfilePart


class SampleNames(ProfilePart):
    """Where the sample of a scan is named, beside what the scan says itself, forms and sample files."""

    folder_pattern: str | None = Field(
        default=None,
        description="Regular expression that is searched in the path of the folder of a scan's frames; its named "
        r"groups are fields of the sample form, such as '(?P<name>[^/_]+)_(?P<thickness_um>\d+)um$'.",
    )

    @field_validator("folder_pattern")
    @classmethod
    def _names_fields(cls, pattern: str | None) -> str | None:
        if pattern is None:
            return None
        try:
            groups = re.compile(pattern).groupindex
        except re.error as error:
            raise ValueError(f"not a regular expression: {error}") from error
        unknown = sorted(set(groups) - set(SAMPLE_FIELDS))
        if unknown or not groups:
            named = f"no field {', '.join(unknown)}" if unknown else "no named group"
            raise ValueError(f"{named}; fields are {', '.join(SAMPLE_FIELDS)}")
        return pattern

    @property
    def compiled_folder_pattern(self) -> re.Pattern[str] | None:
        """The expression; None if there is none."""
        return None if self.folder_pattern is None else re.compile(self.folder_pattern)
