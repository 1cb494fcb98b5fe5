"""How classes are written: names and formulae with subscripts."""

from phasecast.core.result import PhaseClass
from phasecast.core.words import Words
from phasecast.report.model import ClassFact

_SUBSCRIPTS = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")


def subscripts(formula: str) -> str:
    """Return a formula with its numbers as subscripts."""
    return "".join(
        character.translate(_SUBSCRIPTS) if k and formula[k - 1].isalnum() else character
        for k, character in enumerate(formula)
    )


def name_of(phase: PhaseClass | ClassFact, say: Words) -> str:
    """Return the name of a class in one language."""
    name = say.name_of(phase.name_en, phase.name_ja)
    return subscripts(name.replace("gamma-", "γ-").replace("alpha-", "α-")) if "Fe" in name else name


def label_of(phase: PhaseClass | ClassFact, say: Words) -> str:
    """Return name and formula of a class; a name that is a formula itself is not said twice."""
    name = name_of(phase, say)
    formula = subscripts(phase.formula)
    if not formula or formula.split("/")[0] in name:
        return name
    return f"{name}（{formula}）" if say.language == "ja" else f"{name}, {formula}"
