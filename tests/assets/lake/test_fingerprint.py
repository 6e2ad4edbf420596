import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assets.lake.fingerprint import UnstableIdentityError, canonical_json, code_digest, digest_of

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@settings(max_examples=30, deadline=None)
@given(st.dictionaries(st.text(max_size=5), json_values, max_size=5))
def test_the_order_of_keys_does_not_matter(value):
    assert digest_of(value) == digest_of(dict(reversed(list(value.items()))))


@pytest.mark.parametrize(
    ("value", "place"),
    [
        ({"a": {1, 2}}, "value.a"),
        ({"a": [object()]}, r"value.a\[0\]"),
        ({"x": float("nan")}, "value.x"),
        ({1: 2}, "key 1"),
    ],
)
def test_what_has_no_stable_identity_is_refused_with_its_place(value, place):
    with pytest.raises(UnstableIdentityError, match=place):
        digest_of(value)


def test_the_digest_does_not_depend_on_the_hash_seed():
    code = "from assets.lake import *; print(digest_of({'ä': [1, 2.5], 'b': None}), code_digest(['assets.lake']))"
    seen = {
        subprocess.run(
            [sys.executable, "-c", code], env={"PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True
        ).stdout
        for seed in ("0", "1", "42")
    }
    assert len(seen) == 1


def test_canonical_json_is_compact_and_sorted():
    assert canonical_json({"b": 1, "a": "ä"}) == '{"a":"ä","b":1}'


@pytest.fixture
def module(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))

    def write(source):
        (tmp_path / "digested_module.py").write_text(source)
        return code_digest(["digested_module"])

    return write


def test_comments_layout_and_docstrings_are_not_code(module):
    plain = module("def f(x):\n    return x + 1\n")
    assert module('"""Doc."""\n\ndef f(x):\n    """More."""\n    # why\n    return (x +\n        1)\n') == plain


def test_a_changed_threshold_is_another_code(module):
    assert module("LIMIT = 0.5\n") != module("LIMIT = 0.6\n")


def test_an_unknown_module_or_library_is_refused():
    with pytest.raises(UnstableIdentityError, match="no_such_module"):
        code_digest(["no_such_module"])
    with pytest.raises(UnstableIdentityError, match="no-such-library"):
        code_digest([], ["no-such-library"])
