"""What config nodes of all environments share; light, so a wrong value is refused before anything heavy is imported."""

from pydantic import BaseModel, ConfigDict


class Settings(BaseModel):
    """A config node that allows no key but its own, and no number that is not finite."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)
