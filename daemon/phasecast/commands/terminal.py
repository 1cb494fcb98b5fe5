"""What commands print: results to standard output, words for people to standard error."""

import json
from typing import Any

import typer


def print_json(content: Any) -> None:
    """Print a result for programs; what JSON does not know is printed as text."""
    typer.echo(json.dumps(content, indent=1, default=str))


def say(line: str) -> None:
    """Print a line for people."""
    typer.echo(line, err=True)
