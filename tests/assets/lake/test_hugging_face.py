"""Hugging Face folders outside of the lake: read tensor by tensor, recognised by a digest, refused when damaged."""

import hashlib
import json
import shutil

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from assets.lake.hugging_face import FolderError, HuggingFaceFolder, token_ids

TENSORS = {
    "a.weight": torch.arange(12, dtype=torch.float32).reshape(3, 4),
    "b.weight": torch.arange(6).reshape(2, 3).to(torch.bfloat16),
    "c.bias": torch.ones(5, dtype=torch.float16),
}


@pytest.fixture
def whole(tmp_path):
    folder = tmp_path / "whole"
    folder.mkdir()
    (folder / "config.json").write_text('{"model_type": "bloom"}')
    save_file(TENSORS, folder / "model.safetensors")
    return folder


@pytest.fixture
def split(tmp_path):
    """The same weights in two files, with an index."""
    folder = tmp_path / "split"
    folder.mkdir()
    (folder / "config.json").write_text('{"model_type": "bloom"}')
    places = {"a.weight": "model-1.safetensors", "b.weight": "model-2.safetensors", "c.bias": "model-2.safetensors"}
    for file in set(places.values()):
        save_file({n: t for n, t in TENSORS.items() if places[n] == file}, folder / file)
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": places}))
    return folder


@pytest.mark.parametrize("kind", ["whole", "split"])
@pytest.mark.parametrize("scheme", ["", "file://"])
def test_every_tensor_is_read(kind, scheme, request):
    folder = HuggingFaceFolder(f"{scheme}{request.getfixturevalue(kind)}")
    assert set(folder.tensors) == set(TENSORS)
    for name, tensor in TENSORS.items():
        found = folder.read(name, tuple(tensor.shape))
        assert found.dtype == tensor.dtype and torch.equal(found, tensor)


def test_the_digest_is_what_sha256sum_gives(split):
    names = ["config.json", "model-1.safetensors", "model-2.safetensors", "model.safetensors.index.json"]
    lines = [f"{hashlib.sha256((split / n).read_bytes()).hexdigest()}  {n}\n" for n in names]
    assert HuggingFaceFolder(str(split)).files == names
    assert HuggingFaceFolder(str(split)).digest() == hashlib.sha256("".join(lines).encode()).hexdigest()


@settings(max_examples=30, deadline=None)
@given(st.data())
def test_a_changed_byte_changes_the_digest(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("bytes")
    (folder / "config.json").write_text('{"model_type": "bloom"}')
    save_file(TENSORS, folder / "model.safetensors")
    before = HuggingFaceFolder(str(folder)).digest()
    path = folder / "model.safetensors"
    content = bytearray(path.read_bytes())
    content[data.draw(st.integers(0, len(content) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    path.write_bytes(content)
    assert HuggingFaceFolder(str(folder)).digest() != before


@pytest.mark.parametrize("cut", [-1, -7, 5, 8, 20])
def test_a_file_that_is_cut_off_is_refused(whole, cut):
    path = whole / "model.safetensors"
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(FolderError, match=r"cut off|not a safetensors file|not safetensors'"):
        HuggingFaceFolder(str(whole)).tensors  # noqa: B018


def test_a_header_that_lies_about_its_length_is_not_read(whole):
    path = whole / "model.safetensors"
    path.write_bytes((2**62).to_bytes(8, "little") + path.read_bytes()[8:])
    with pytest.raises(FolderError, match="its header would have 4,611,686,018,427,387,904 bytes"):
        HuggingFaceFolder(str(whole)).tensors  # noqa: B018


@pytest.mark.parametrize("name", ["../secret.safetensors", "/etc/passwd", "sub/model.safetensors", "model.bin"])
def test_an_index_cannot_name_other_files(whole, name):
    (whole / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"a.weight": name}}))
    with pytest.raises(FolderError, match=r"allowed are \.safetensors files of the folder itself"):
        HuggingFaceFolder(str(whole))


def test_a_folder_with_pickles_alone_is_refused(whole):
    shutil.move(whole / "model.safetensors", whole / "pytorch_model.bin")
    with pytest.raises(FolderError, match="weights are read from safetensors only"):
        HuggingFaceFolder(str(whole))


def test_what_is_not_there_is_said(whole, tmp_path):
    with pytest.raises(FolderError, match=r"has no config\.json; it is not a Hugging Face folder"):
        HuggingFaceFolder(str(tmp_path / "nowhere"))
    folder = HuggingFaceFolder(str(whole))
    with pytest.raises(FolderError, match=r"has no tensor 'd\.weight'"):
        folder.read("d.weight", (3,))
    with pytest.raises(FolderError, match=r"has the shape \(3, 4\); the recipe's is \(4, 3\)"):
        folder.read("a.weight", (4, 3))
    save_file({"a.weight": torch.ones(2, dtype=torch.int8)}, whole / "model.safetensors")
    with pytest.raises(FolderError, match=r"a\.weight is I8; allowed are F64, F32, F16, BF16"):
        HuggingFaceFolder(str(whole)).read("a.weight", (2,))


def test_ids_of_tokens():
    tokenizer = {"model": {"vocab": {"a": 1, "b": 2}}, "added_tokens": [{"content": "<s>", "id": 0}]}
    assert token_ids(tokenizer) == {"a": 1, "b": 2, "<s>": 0}
    unigram = {"model": {"vocab": [["x", -1.0], ["y", -2.0]]}}
    assert token_ids(unigram) == {"x": 0, "y": 1}
