"""The set as a whole: its categories and what is in no photo."""

from __future__ import annotations

from dataclasses import dataclass, field

from annotation.drawing import Drawing


@dataclass
class Tally:
    """What is counted while the files pass; some bytes a shape, so that memory stays small."""

    photos: int = 0
    instances: dict[str, int] = field(default_factory=dict)

    def add(self, drawing: Drawing) -> None:
        """Count one annotation."""
        self.photos += 1
        for instance in drawing.instances:
            self.instances[instance.label] = self.instances.get(instance.label, 0) + 1
