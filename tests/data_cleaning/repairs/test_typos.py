from itertools import product

import pytest

from agentlab_runner.data_cleaning.repairs.typos import Neighbours, one_slip


def slips(word, alphabet="ab"):
    """Every word one slip away, by making them all."""
    made = {word[:i] + word[i + 1 :] for i in range(len(word))}
    made |= {word[:i] + c + word[i:] for i in range(len(word) + 1) for c in alphabet}
    made |= {word[:i] + c + word[i + 1 :] for i in range(len(word)) for c in alphabet}
    made |= {word[:i] + word[i + 1] + word[i] + word[i + 2 :] for i in range(len(word) - 1)}
    return made - {word}


WORDS = ["".join(letters) for size in range(5) for letters in product("ab", repeat=size)]


@pytest.mark.parametrize("word", WORDS)
def test_one_slip_is_what_making_them_all_says(word):
    near = slips(word)
    assert {other for other in WORDS if one_slip(word, other)} == near & set(WORDS)


def test_neighbours_finds_all_of_three_letters_and_more():
    index = Neighbours(WORDS)
    for word in WORDS:
        expected = [i for i, other in enumerate(WORDS) if one_slip(word, other) and len(other) >= 3 and len(word) >= 2]
        assert list(index.of(word)) == expected


def test_a_slip_in_any_script():
    assert one_slip("Österreich", "Osterreich")
    assert one_slip("日本", "本日")
    assert not one_slip("Iran", "Iraqi")
