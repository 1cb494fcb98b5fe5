"""What a person types into the sample form, while others may save it too."""

from collections.abc import Iterable, Mapping


class Draft:
    """Texts of one form: what was saved, and what the person made of it.

    What others save reaches the fields that the person has not touched; the others keep what was typed.

    Parameters
    ----------
    fields
        Names of the fields.
    """

    def __init__(self, fields: Iterable[str]) -> None:
        self.saved: dict[str, str] = dict.fromkeys(fields, "")
        self.text: dict[str, str] = dict(self.saved)
        self.overtaken: set[str] = set()
        """Touched fields that somebody else saved meanwhile."""

    def type(self, name: str, text: str) -> None:
        """Take what the person typed into a field."""
        self.text[name] = text
        if not self.is_touched(name):
            self.overtaken.discard(name)

    def is_touched(self, name: str) -> bool:
        """Whether a field says something else than what was saved; blanks around it do not count."""
        return self.text[name].strip() != self.saved[name].strip()

    def touched(self) -> dict[str, str]:
        """Return the fields that differ from what was saved."""
        return {name: text.strip() for name, text in self.text.items() if self.is_touched(name)}

    def filled(self) -> dict[str, str]:
        """Return the fields that say anything."""
        return {name: text.strip() for name, text in self.text.items() if text.strip()}

    def follow(self, saved: Mapping[str, str]) -> None:
        """Take what is saved now."""
        for name, before in self.saved.items():
            now = saved.get(name, "")
            if now == before:
                continue
            touched = self.is_touched(name)
            self.saved[name] = now
            if not touched:
                self.text[name] = now
            elif self.is_touched(name):
                self.overtaken.add(name)
        self.overtaken = {name for name in self.overtaken if self.is_touched(name)}
