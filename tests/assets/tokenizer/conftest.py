import pytest
from tokenizers import Tokenizer as Trained

from assets.tokenizer import bpe
from tests.conftest import FINNISH, TOKENIZER


@pytest.fixture(scope="package")
def tokenizer() -> Trained:
    """A small tokenizer to which special tokens in texts are text."""
    trained = bpe.train(TOKENIZER, FINNISH)
    trained.encode_special_tokens = True
    return trained
