"""Files that hold credentials. They are refused even inside a root, unless the operator allows them.

The list names what a program would use to act as its owner: private keys, tokens of clouds, registries and
browsers, password stores. A path counts if any run of its components equals an entry; `.env` files are not
on the list, because projects keep plain settings in them.
"""

from __future__ import annotations

from typing import Final

_RUNS: Final[tuple[tuple[str, ...], ...]] = tuple(
    tuple(entry.split("/"))
    for entry in (
        ".ssh",
        ".gnupg",
        ".aws",
        ".azure",
        ".kube",
        ".password-store",
        ".mozilla",
        ".thunderbird",
        ".vault-token",
        ".netrc",
        "_netrc",
        ".pgpass",
        ".my.cnf",
        ".pypirc",
        ".git-credentials",
        ".docker/config.json",
        ".cargo/credentials",
        ".cargo/credentials.toml",
        ".terraform.d/credentials.tfrc.json",
        ".config/gcloud",
        ".config/gh",
        ".config/glab-cli",
        ".config/git/credentials",
        ".config/rclone",
        ".config/google-chrome",
        ".config/chromium",
        ".config/BraveSoftware",
        ".config/microsoft-edge",
        ".config/op",
        ".local/share/keyrings",
        ".local/share/kwalletd",
        "Library/Keychains",
        "id_rsa",
        "id_dsa",
        "id_ecdsa",
        "id_ed25519",
    )
)
_HEADS: Final = frozenset(run[0] for run in _RUNS)
_HOME_ONLY: Final = frozenset({".npmrc", ".yarnrc.yml", ".bash_history", ".zsh_history", ".python_history"})


def is_secret(path: str, home: str) -> bool:
    """Whether this absolute path is a credential file, or lies in a folder of them."""
    parts = path.split("/")
    for at, part in enumerate(parts):
        if part in _HEADS and any(tuple(parts[at : at + len(run)]) == run for run in _RUNS if run[0] == part):
            return True
    folder, _, name = path.rpartition("/")
    return name in _HOME_ONLY and folder == home
