"""What ships with the program."""

import typer

from phasecast.commands.options import AsJson
from phasecast.commands.terminal import print_json


def profiles(as_json: AsJson = False) -> None:
    """List the instrument profiles that ship, one line each.

    Example: phasecast profiles
    """
    from phasecast.profiles import list_profiles, load_profile

    titles = {name: load_profile(name).title for name in list_profiles()}
    if as_json:
        print_json(titles)
        return
    for name, title in titles.items():
        typer.echo(f"{name:<14} {title}")
