"""YAML as study files need it: plain values alone, within bounds that no study reaches, every key once.

The bounds are looked at while the text is scanned, before anything is built from it, so that a file that was made
to use up memory or time ends in an error instead.
"""

from __future__ import annotations

from pathlib import Path

import yaml

__all__ = ["LARGEST_FILE", "plain_values", "read_text"]

# `halion init` writes some KiB with all its comments.
LARGEST_FILE = 128 * 1024
# A study file has two levels; a list of pairs in it would be the fourth. Far below Python's limit of recursion.
_DEEPEST = 20
# Longer than any path that systems take for a name; integers up to this length still convert to text.
_LONGEST_SCALAR = 3000


class _Loader(yaml.SafeLoader):
    """PyYAML's loader of plain values, with a key that stands twice refused: YAML itself keeps the last one."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict:
        seen: set[str] = set()
        for key, _ in node.value:
            name = key.value if isinstance(key, yaml.ScalarNode) else None
            if name is None:
                continue
            if name in seen:
                raise yaml.constructor.ConstructorError(
                    "in a mapping", node.start_mark, f"the key '{name[:60]}' stands twice", key.start_mark
                )
            seen.add(name)
        return super().construct_mapping(node, deep=deep)


def plain_values(text: str) -> object:
    """What a YAML text says: None, bool, int, float, str, dates, and lists and mappings of these.

    Args:
        text: one YAML document without anchors and tags of programming languages, at most 20 levels deep, its
            scalars at most 3000 characters long.
    Raises:
        yaml.YAMLError: anything else. Never another error, and never code that the text names.

    Checked by tests/test_plain_yaml.py against PyYAML on values that were written by it, and on hostile texts.
    """
    if len(text) > LARGEST_FILE:
        raise yaml.YAMLError(f"it is longer than {LARGEST_FILE // 1024} KiB")
    _refuse_out_of_bounds(text)
    try:
        return yaml.load(text, Loader=_Loader)
    except (ValueError, TypeError, AttributeError, LookupError, OverflowError) as error:
        # PyYAML lets pass what Python's own constructors say of dates, numbers and tags that do not fit.
        raise yaml.YAMLError(f"a value cannot be read ({type(error).__name__}: {str(error)[:100]})") from error


def _refuse_out_of_bounds(text: str) -> None:
    depth = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        line = f"line {event.start_mark.line + 1}"
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise yaml.YAMLError(f"{line}: anchors and aliases (& and *) are not taken; write the value out")
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > _DEEPEST:
            raise yaml.YAMLError(f"{line}: it is nested more than {_DEEPEST} levels deep")
        if isinstance(event, yaml.ScalarEvent):
            _refuse_scalar(event.value, line)


def _refuse_scalar(value: str, line: str) -> None:
    if len(value) > _LONGEST_SCALAR:
        raise yaml.YAMLError(f"{line}: a value of {len(value)} characters; {_LONGEST_SCALAR} are taken at most")
    if any(letter == "\0" or "\ud800" <= letter <= "\udfff" for letter in value):
        raise yaml.YAMLError(f"{line}: a value holds a character that no file name or text can hold")


def read_text(path: Path) -> str:
    """The text of a small file; a file without end is read to its bound alone.

    Raises:
        OSError, UnicodeDecodeError: as Python's own reading.
        yaml.YAMLError: the file is longer than `LARGEST_FILE`.
    """
    with open(path, "rb") as handle:
        data = handle.read(LARGEST_FILE + 1)
    if len(data) > LARGEST_FILE:
        raise yaml.YAMLError(f"it is longer than {LARGEST_FILE // 1024} KiB")
    return data.decode("utf-8-sig")
