"""YAML as plain text: no types are guessed and nothing is constructed.

A mapping names a log's values. With YAML's own types `yes` would turn into True, `1.0` into a
number and `2009-09-01` into a date, and none would then be found in the log.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    import yaml

_MAX_BYTES = 64 * 1024
_TYPES = ("str", "int", "float", "bool", "null", "timestamp", "map", "seq")
_TAGS = frozenset(f"tag:yaml.org,2002:{name}" for name in _TYPES)


def read_plain_yaml(path: Path) -> object:
    """Return a small YAML file as dicts, lists, texts and None.

    Raises:
        ValueError: the file cannot be read or is not YAML, holds a key twice, or uses what
            can do harm: tags, anchors, more than 64 KiB.
    """
    import yaml

    try:
        content = path.read_bytes()
    except OSError as error:
        raise ValueError(f"cannot be read: {error.strerror}") from error
    if len(content) > _MAX_BYTES:
        raise ValueError(f"is {len(content):,} bytes long; expected at most {_MAX_BYTES:,}")
    try:
        node = yaml.compose(content.decode("utf-8-sig"), Loader=yaml.SafeLoader)
        return None if node is None else _plain(node, set())
    except UnicodeDecodeError as error:
        raise ValueError("is not UTF-8") from error
    except RecursionError:
        raise ValueError("is nested too deeply") from None
    except yaml.YAMLError as error:
        raise ValueError(f"is not valid YAML{yaml_problem(error)}") from error


def yaml_problem(error: yaml.YAMLError, first_line: int = 1) -> str:
    """Return " in line 3: what is wrong there", in one line.

    Args:
        first_line: Where in its file the YAML begins.
    """
    mark, problem = getattr(error, "problem_mark", None), getattr(error, "problem", None)
    where = f" in line {mark.line + first_line}" if mark else ""
    return f"{where}: {problem or ' '.join(str(error).split())}"


def _plain(node: yaml.Node, seen: set[int]) -> object:
    import yaml

    line = f"line {node.start_mark.line + 1}"
    # A node met twice is an alias; a few of them can unfold without end.
    if id(node) in seen:
        raise ValueError(f"{line}: YAML anchors and aliases are not read here; write it out")
    seen.add(id(node))
    if node.tag not in _TAGS:
        raise ValueError(f"{line}: the YAML tag {node.tag!r} is not read here")
    if isinstance(node, yaml.ScalarNode):
        return None if node.tag.endswith(":null") else node.value
    if isinstance(node, yaml.SequenceNode):
        return [_plain(each, seen) for each in node.value]
    return _mapping(node, seen)


def _mapping(node: yaml.Node, seen: set[int]) -> dict[str, object]:
    plain: dict[str, object] = {}
    for key_node, value_node in node.value:
        line = f"line {key_node.start_mark.line + 1}"
        key = _plain(key_node, seen)
        if not isinstance(key, str):
            raise ValueError(f"{line}: {key!r} is not a name")
        if key in plain:
            raise ValueError(f"{line}: {key!r} stands twice")
        plain[key] = _plain(value_node, seen)
    return plain
