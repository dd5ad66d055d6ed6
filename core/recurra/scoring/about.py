"""score.json: of which inbox, which kind of samples and which classes the scores of a name are."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from recurra.config import validated
from recurra.durable import read_json, write_json
from recurra.errors import InputError
from recurra.experiment import Part


class About(Part):
    """What score.json holds."""

    version: Literal[1] = Field(default=1, alias="schema")
    inbox: str
    """`names.escaped`."""
    kind: str
    classes: tuple[str, ...]
    """Of the last pass; a champion's may change."""

    def check(self, other: About, name: str, file: Path, follows: bool) -> None:
        """InputError unless the scores of that name, kept with this `file`, can be of the other too. `follows`: whoever
        answers now may have other classes.
        """
        if self.inbox != other.inbox:
            raise InputError(
                f"scores '{name}' are of the inbox {self.inbox}; give {other.inbox} another --name"
                f" (or write the new place into {file}, where the inbox has moved)"
            )
        fault = f"scores '{name}' have the"
        if self.kind != other.kind:
            raise InputError(f"{fault} kind {self.kind}, the run has {other.kind}; choose another --name")
        if self.classes != other.classes and not follows:
            of, has = _listed(self.classes), _listed(other.classes)
            raise InputError(f"{fault} classes {of}, the run has {has}; choose another --name")


def read(file: Path) -> About | None:
    """What the file holds; None where there is none. An InputError where it cannot be read."""
    try:
        return validated(About, read_json(file), "its fields")
    except FileNotFoundError:
        return None
    except (InputError, OSError, ValueError) as error:
        raise InputError(f"{file} cannot be read ({error}); mend it, or remove it: the next pass writes it") from None


def write(file: Path, about: About) -> None:
    """Keeps it."""
    write_json(file, about.model_dump(mode="json", by_alias=True))


def _listed(names: tuple[str, ...]) -> str:
    return ", ".join(names[:8]) + (", ..." if len(names) > 8 else "")
