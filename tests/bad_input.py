"""Strategies that damage good input: bytes that are cut, flipped or doubled, and values put where others belong."""

import copy
from typing import Any

from hypothesis import strategies as st

TEXTS = st.one_of(
    st.text(max_size=20),
    st.sampled_from(["", " ", "\0", "../../x", "/etc/passwd", "a/b", "~", "${HOME}", "${TOKKA_NOWHERE}", "[bold]x[/]", "\ud800"]),
)  # fmt: skip
SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**70), 2**70), st.floats(), TEXTS,
    st.sampled_from([0, -1, 1, 1e308, 10**30]),
)  # fmt: skip
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(TEXTS | st.integers(), inner, max_size=3)),
    max_leaves=6,
)
JSON_VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(TEXTS, inner, max_size=3)),
    max_leaves=6,
)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The paths of all values inside mappings and lists."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [deeper for key, item in inner for deeper in [(*path, key), *places(item, (*path, key))]]


@st.composite
def mutated(draw: st.DrawFn, good: Any, values: st.SearchStrategy[Any] = VALUES) -> Any:
    """``good`` with one to three of its values replaced, removed, renamed or added."""
    value = copy.deepcopy(good)
    for _ in range(draw(st.integers(1, 3))):
        found = places(value)
        if not found:
            return value
        *path, last = draw(st.sampled_from(found))
        inner = value
        for part in path:
            inner = inner[part]
        what = draw(st.sampled_from(["replace", "replace", "replace", "remove", "rename", "add"]))
        if what == "replace":
            inner[last] = draw(values)
        elif what == "remove":
            del inner[last]
        elif isinstance(inner, dict):
            new = draw(TEXTS)
            inner[new] = inner.pop(last) if what == "rename" else draw(values)
        else:
            inner.insert(last, draw(values))
    return value


@st.composite
def damaged(draw: st.DrawFn, good: bytes, extra: tuple[bytes, ...] = ()) -> bytes:
    """``good`` with one to three places cut, flipped, doubled or overwritten; ``extra`` are bytes worth inserting."""
    raw = good
    for _ in range(draw(st.integers(1, 3))):
        start = draw(st.integers(0, len(raw)))
        stop = min(len(raw), start + draw(st.integers(0, 40)))
        what = draw(st.sampled_from(["cut off", "remove", "double", "flip", "insert", "insert"]))
        if what == "cut off":
            raw = raw[:start]
        elif what == "remove":
            raw = raw[:start] + raw[stop:]
        elif what == "double":
            raw = raw[:stop] + raw[start:]
        elif what == "flip":
            raw = (
                raw[:start]
                + bytes(b ^ (1 << draw(st.integers(0, 7))) for b in raw[start : start + 1])
                + raw[start + 1 :]
            )
        else:
            chosen = draw(st.binary(max_size=8) | st.sampled_from((b"\0", b"\xff\xfe", b"\xed\xa0\x80", b"\n", *extra)))
            raw = raw[:start] + chosen + raw[start:]
    return raw
