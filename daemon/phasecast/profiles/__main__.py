"""Writes the JSON schema beside the shipped profiles: ``python -m phasecast.profiles``."""

from phasecast.profiles.schema import profile_json_schema
from phasecast_profiles.shipped import schema_path

if __name__ == "__main__":
    schema_path().write_text(profile_json_schema(), encoding="utf-8")
