"""Lines of keys: a document in every TOML form, where each line says in a comment which paths begin on it."""

from __future__ import annotations

import ast
import tomllib
from typing import Any

import pytest

from reranker.policy.locate import lines_of, too_deep
from reranker.policy.mistakes import KeyPath
from reranker.policy.words import parse

DOCUMENT = r'''
# a comment with [brackets] and "quotes"
name = "x"                                  # ('name',)
quoted."a.b" . c = 1                        # ('quoted',) ('quoted', 'a.b') ('quoted', 'a.b', 'c')
"esc\u0061ped" = 'lit'                      # ('escaped',)
text = """
[not.a.table]
k = "v" """                                 # text ends here
raw = \'\'\'
a = [1,\'\'\'                               # raw ends here
inline = { a = 1, b = { c = [1, 2] } }      # ('inline',) ('inline', 'a') ('inline', 'b') ('inline', 'b', 'c')
list = [                                    # ('list',)
    # nothing here
    1, "]", # still on this line              ('list', 0) ('list', 1)
    { a = '}' },                            # ('list', 2) ('list', 2, 'a')
]
when = 2027-06-30 07:32:00                  # ('when',)

[objective]                                 # ('objective',)
strategy = "dpp" # why                        ('objective', 'strategy')
[ a . "b" ]                                 # ('a',) ('a', 'b')
c = 1                                       # ('a', 'b', 'c')

[[quotas]]                                  # ('quotas',) ('quotas', 0)
attribute = "a"                             # ('quotas', 0, 'attribute')
[quotas.min_share]                          # ('quotas', 0, 'min_share')
"5-6" = 0.2                                 # ('quotas', 0, 'min_share', '5-6')

[[quotas]]                                  # ('quotas', 1)
[[quotas.inner]]                            # ('quotas', 1, 'inner') ('quotas', 1, 'inner', 0)
[[quotas.inner]]                            # ('quotas', 1, 'inner', 1)
deep.er = 1                                 # ('quotas', 1, 'inner', 1, 'deep') ('quotas', 1, 'inner', 1, 'deep', 'er')
'''.replace("\\'\\'\\'", "'''")


def marked(text: str) -> dict[KeyPath, int]:
    found = {}
    for number, line in enumerate(text.split("\n"), 1):
        marks = line[line.find("('") :] if "('" in line else ""
        for part in filter(None, marks.replace(") (", ")\0(").split("\0")):
            found[ast.literal_eval(part)] = number
    return found


def paths(tree: Any, path: KeyPath = ()) -> list[KeyPath]:
    items = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    return [inner for key, value in items for inner in ((*path, key), *paths(value, (*path, key)))]


def test_every_path_has_its_line() -> None:
    lines = lines_of(DOCUMENT)
    assert set(lines) == set(paths(tomllib.loads(DOCUMENT)))
    expected = marked(DOCUMENT)
    assert len(expected) > 30
    assert {path: lines[path] for path in expected} == expected
    assert lines["text",] == 6
    assert lines["raw",] == 9


@pytest.mark.parametrize(
    "text", ["", "a", "a = ", "[a", "a = [1", "a = {b", '"a\\q" = 1', "= 1", "a = 1 b = 2", "a = ]"]
)
def test_text_that_is_no_toml_gives_what_was_found_so_far(text: str) -> None:
    assert lines_of("first = 1\n" + text)["first",] == 1


def test_nesting_beyond_the_stack_is_no_crash() -> None:
    assert lines_of("a = " + "[" * 50_000)["a",] == 1


@pytest.mark.parametrize(
    ("text", "line", "path"),
    [
        ("a = 1\na = 2 # why\n", 2, "a"),
        ("a = 1\na = [\n  2,\n]\n", 4, "a"),
        ("[a]\nb = 1\n[c]\n[a]\n", 4, "a"),
        ("a = { b = 1 }\na = { b = { c = 2 } }\n", 2, "a"),
        ("a = { b = 1, b = { c = 2 } }\n", 1, "a.b"),
        ("[[quotas]]\nwithin = 1\n[[quotas]]\nwithin = 2\nattribute = 'x'\nwithin = 3\n", 6, "quotas[1].within"),
        ("a = 1\n[a]\n", 2, "a"),
        ("[a.b]\nc = 1\n[a]\nb.c = 2\n", 4, "a.b.c"),
        ("a = 1\nb = ]\n", 2, "policy"),
    ],
)
def test_a_key_that_is_given_twice_is_named(text: str, line: int, path: str) -> None:
    _, mistakes = parse(text)
    assert [(v.line, v.path) for v in mistakes] == [(line, path)]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (DOCUMENT, 0),
        ("a = 1\n# " + "[" * 99 + "\nb = '" + "[" * 99 + "'\nc = [" + "0.1, " * 99 + "]\n", 0),
        ('a = """\n' + "[" * 99 + '"""\nb = "\\"' + "{" * 99 + '"\n', 0),
        ("a = '" + "[" * 99, 0),
        ("a = " + "[" * 16 + "]" * 16, 0),
        ("a = [\n" * 40, 17),
        ("x = 1\na" + ".a" * 16 + " = 1", 2),
        ("x = 1\n[a" + ' . "a"' * 16 + "]", 2),
    ],
)
def test_what_nests_too_deeply_has_its_line(text: str, line: int) -> None:
    assert too_deep(text) == line
