"""What all parts of a profile share: frozen, and closed to unknown keys."""

from pydantic import BaseModel, ConfigDict


class ProfilePart(BaseModel):
    """A table of a profile; unknown keys are errors, values never change after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
