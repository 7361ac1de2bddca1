"""The policies that serve, by name: a folder of TOML files, or a refusal with every mistake of every file."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from reranker.errors import FileViolation, InvalidInput, UnknownPolicy, Violation
from reranker.policy.model import Policy

DEFAULT = "default"
_ROUTES = "routes.toml"


def built_in() -> Policy:
    """The policy that serves when no folder defines one called `default`: dpp at diversity 0.5, without quotas."""
    return Policy.from_dict({"name": DEFAULT, "objective": {"strategy": "dpp", "diversity": 0.5}})


class PolicyBook:
    """Checked policies by name, immutable; a reload makes a new book."""

    __slots__ = ("_policies",)

    def __init__(self, policies: Iterable[Policy] = ()) -> None:
        named = {policy.name: policy for policy in (built_in(), *policies)}
        self._policies = {name: named[name] for name in sorted(named)}

    @classmethod
    def load(cls, folder: Path | None) -> PolicyBook:
        """The policies of every `*.toml` in a folder (hidden files left out); None is the built-in `default` alone.

        Raises `InvalidInput` naming every mistake of every file.
        """
        if folder is None:
            return cls()
        if not folder.is_dir():
            raise InvalidInput([Violation("policies", "is not a folder")], str(folder))
        found: list[Violation] = []
        file_of: dict[str, str] = {}
        policies = []
        for file in sorted(folder.glob("*.toml")):
            if file.name.startswith("."):
                continue
            policy = _read(file, found)
            if policy is None:
                continue
            if policy.name in file_of:
                reason = f"{policy.name} is defined in {file_of[policy.name]} already"
                found.append(FileViolation("name", reason, file=file.name))
            file_of.setdefault(policy.name, file.name)
            policies.append(policy)
        if found:
            raise InvalidInput(found, str(folder))
        return cls(policies)

    def get(self, name: str) -> Policy:
        """The policy of this name. Raises `UnknownPolicy`."""
        try:
            return self._policies[name]
        except KeyError:
            raise UnknownPolicy(name, self._policies) from None

    def names(self) -> tuple[str, ...]:
        """The names in alphabetical order."""
        return tuple(self._policies)

    def policies(self) -> tuple[Policy, ...]:
        """The policies in the order of their names."""
        return tuple(self._policies.values())


def _read(file: Path, found: list[Violation]) -> Policy | None:
    if file.name == _ROUTES:
        reason = "routes come with a later release; requests name their policy, or meet the one called default"
        found.append(FileViolation("routes", reason, file=file.name))
        return None
    try:
        return Policy.from_toml(file)
    except InvalidInput as error:
        found += [FileViolation(v.path, v.reason, v.line, file.name) for v in error.violations]
    except OSError as error:
        found.append(FileViolation("policy", f"cannot be read: {error.strerror}", file=file.name))
    return None
