"""Masks of secrets. The secrets are made here, from seeds."""

import base64
import random
import string

import pytest

from assets.cleaning.secrets import ENTROPY, entropy, mask_secrets

LETTERS = string.ascii_letters + string.digits
UPPER = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
HEX = "0123456789abcdef"


def made(seed: int, length: int, characters: str = LETTERS) -> str:
    choice = random.Random(seed).choice
    return "".join(choice(characters) for _ in range(length))


def private_key(kind: str = "RSA ") -> str:
    lines = "\n".join(made(line, 64, LETTERS + "+/") for line in range(12))
    return f"-----BEGIN {kind}PRIVATE KEY-----\n{lines}\n{made(99, 20)}==\n-----END {kind}PRIVATE KEY-----"


@pytest.mark.parametrize("kind", ["RSA ", "", "EC ", "OPENSSH ", "ENCRYPTED "])
def test_private_keys_go_whole(kind: str) -> None:
    assert mask_secrets(f"a\n{private_key(kind)}\nb\n{private_key(kind)}") == ("a\n<KEY>\nb\n<KEY>", 2)


def test_private_keys_in_literals_and_without_an_end() -> None:
    assert mask_secrets(f"key = {private_key()!r}") == ("key = '<KEY>'", 1)
    assert mask_secrets(private_key()[:500]) == ("<KEY>", 1)
    lines = "\n".join(private_key().split("\n")[:6])
    assert mask_secrets(f"{lines}\n\nclass A:\n    pass\n") == ("<KEY>\n\nclass A:\n    pass\n", 1)


def test_examples_of_private_keys_stay() -> None:
    code = 'BEGIN = "-----BEGIN RSA PRIVATE KEY-----"\nif x: return\nEND = "-----END RSA PRIVATE KEY-----"\n'
    assert mask_secrets(code) == (code, 0)
    assert mask_secrets("-----BEGIN PRIVATE KEY-----\n...\n-----END PRIVATE KEY-----")[1] == 0
    assert mask_secrets(private_key().replace("PRIVATE", "PUBLIC"))[1] == 0


@pytest.mark.parametrize(
    "token",
    [
        *("AKIA" + made(1, 16, UPPER), "ASIA" + made(2, 16, UPPER), "ghp_" + made(3, 36), "github_pat_" + made(4, 82)),
        *("glpat-" + made(5, 20), "xoxb-" + made(6, 12, string.digits) + "-" + made(7, 24), "AIza" + made(8, 35)),
        *(
            "sk_live_" + made(9, 24),
            "rk_test_" + made(10, 30),
            "npm_" + made(11, 36),
            "pypi-AgEIcHlwaS5vcmc" + made(12, 90),
        ),
        *(
            "hf_" + made(13, 34),
            "sk-" + made(14, 48),
            "sk-ant-api03-" + made(15, 90),
            "SG." + made(16, 22) + "." + made(17, 43),
        ),
        *(
            "GOCSPX-" + made(18, 28),
            "ya29." + made(19, 60),
            "dop_v1_" + made(20, 64, HEX),
            "5830617294:AA" + made(21, 33),
        ),
        f"eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIx{made(22, 20)}.{made(23, 43)}",
    ],
)
def test_tokens_that_issuers_mark_go(token: str) -> None:
    assert mask_secrets(f"x {token} y") == ("x <KEY> y", 1)
    assert mask_secrets(f'call("{token}")') == ('call("<KEY>")', 1)


@pytest.mark.parametrize(
    "line",
    [
        *(
            'password = "{}"',
            "PASSWORD='{}'",
            '"api_key": "{}",',
            "client_secret: '{}'",
            'secret => "{}"',
            'setPassword("{}")',
        ),
        *(
            'os.environ["SECRET_KEY"] = "{}"',
            "token: {}",
            "AWS_SECRET_ACCESS_KEY={}",
            'access_token := "{}"',
            "apikey={};",
        ),
        *("postgres://bob:{}@db.yritys.fi/x", "Authorization: Bearer {}", 'encryption-key = b"{}"'),
    ],
)
@pytest.mark.parametrize(
    "secret", [made(1, 24), made(2, 32, HEX), made(3, 40), base64.b64encode(bytes(range(90, 130))).decode()]
)
def test_what_is_assigned_goes(line: str, secret: str) -> None:
    if "://" in line and not set(secret) <= set(LETTERS):
        pytest.skip("a slash ends the password of an address")
    assert mask_secrets(f"a\n{line.format(secret)}\nb") == (f"a\n{line.format('<KEY>')}\nb", 1)


@pytest.mark.parametrize(
    ("characters", "length", "share"),
    [
        (LETTERS, 16, 0.95),
        (LETTERS, 24, 0.97),
        (HEX, 32, 0.95),
        (LETTERS + "+/", 40, 0.97),
        (LETTERS + "!#%&*+-?@", 16, 0.9),
    ],
)
def test_most_random_passwords_go(characters: str, length: int, share: float) -> None:
    found = [mask_secrets(f'password = "{made(seed, length, characters)}"')[1] for seed in range(200)]
    assert sum(found) >= share * len(found)


@pytest.mark.parametrize(
    "code",
    [
        # Placeholders.
        *('password = "changeme"', 'token = "<token>"', 'api_key="xxxxxxxxxxxxxxxxxxxx"', "AKIAIOSFODNN7EXAMPLE"),
        *(
            'secret = "your-secret-here-123"',
            'password = "example-password-1"',
            "password = '${DB_PASSWORD_1}'",
            'token = "<KEY>"',
        ),
        *(
            'api_key = "0123456789abcdef0123456789abcdef"',
            'password = "hunter2"',
            "password = os.environ['DB_PASSWORD_1']",
        ),
        # Words and identifiers.
        *(
            'token = "access_token_v2_handler"',
            'token="utf-8"',
            "token = tokenizer.next_token2()",
            'password: "correct horse"',
        ),
        *('token_url = "https://login.windows.net/common/oauth2/v2.0/authorize"', 'secret = "sha256WithRSAEncryption"'),
        *(
            'token = "550e8400-e29b-41d4-a716-446655440000"',
            'Token("NUMBER_LITERAL_64BIT")',
            'token = "iso-8859-15-windows-1252"',
        ),
        *('password = "correcthorsebatterystaple"', f'keyword = "{made(1, 24)}"', f'sha256 = "{made(2, 64, HEX)}"'),
    ],
)
def test_what_is_no_secret_stays(code: str) -> None:
    assert mask_secrets(code) == (code, 0)


def test_entropy_is_in_bits_a_character() -> None:
    assert entropy("aaaa") == 0
    assert entropy("abababab") == 1
    assert entropy(HEX) == 4
    assert entropy("password") < ENTROPY < entropy(made(1, 24))
