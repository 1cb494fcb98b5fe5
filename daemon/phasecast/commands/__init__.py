"""The commands of `phasecast`, one module a family; `phasecast.cli` gives them their names and order."""
