"""One step of a study: a folder with the step's inputs and, once it is finished, its result.

`inputs.json` is written first and says everything that the step depends on, the digests of earlier results
included; `result.json` appears by a rename when the step is finished. A step is done when both are there and
the inputs are the ones that are asked for now, so finished work is never repeated and stale work never used.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from halion.errors import PhysicsRefusal, RunFolderError
from halion.files import digest, read_json, write_json

__all__ = ["Step"]


@dataclass(frozen=True, slots=True)
class Step:
    """A step folder.

    Attributes:
        folder: where it lives.
        inputs: plain JSON values that determine the result.
    """

    folder: Path
    inputs: dict[str, Any]

    @property
    def name(self) -> str:
        """The folder's name, for messages."""
        return self.folder.name

    @property
    def inputs_digest(self) -> str:
        """SHA-256 of the inputs."""
        return digest(self.inputs)

    @property
    def is_done(self) -> bool:
        """Whether the result of exactly these inputs is there."""
        if not (self.folder / "result.json").exists():
            return False
        return read_json(self.folder / "result.json").get("inputs_sha256") == self.inputs_digest

    def begin(self) -> Step:
        """Write the inputs; work that the folder holds for other inputs is refused, not mixed in.

        Raises:
            RunFolderError: the folder holds work of other inputs.
        """
        path = self.folder / "inputs.json"
        if path.exists():
            if digest(read_json(path)) != self.inputs_digest:
                raise RunFolderError(
                    "this step was begun with other inputs: settings, structure or an earlier result changed",
                    where=str(self.folder),
                    fix=f"rm -r {self.folder}   (this step alone is repeated), or choose another --folder",
                )
            return self
        write_json(path, self.inputs)
        return self

    def commit(self, value: Any) -> None:
        """Write the result (plain JSON values); this finishes the step."""
        write_json(self.folder / "result.json", {"inputs_sha256": self.inputs_digest, "value": value})

    def commit_refusal(self, refusal: PhysicsRefusal) -> None:
        """Write that physics refused: a result like any other, not to be tried again."""
        text = {"what": refusal.what, "where": refusal.where, "fix": refusal.fix}
        write_json(self.folder / "result.json", {"inputs_sha256": self.inputs_digest, "refusal": text})

    def value(self) -> Any:
        """The result of a finished step.

        Raises:
            PhysicsRefusal: the step ended in a refusal.
        """
        record = read_json(self.folder / "result.json")
        if "refusal" in record:
            refusal = record["refusal"]
            raise PhysicsRefusal(refusal["what"], where=refusal["where"], fix=refusal["fix"])
        return record["value"]
