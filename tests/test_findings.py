"""`docs/findings.md` says what the shipped models say, and shows the pictures it speaks of."""

import re

import pytest

from docs.findings import DOCUMENT, EXPERIMENT, IMAGES, TEMPLATE, check_words, from_metrics
from ndmixer import PRESETS

MOST_BYTES = 1_500_000


def test_every_paragraph_holds_the_numbers_that_follow_from_the_metrics():
    values = from_metrics()
    words, written = (path.read_text("utf-8").split("\n\n") for path in (TEMPLATE, DOCUMENT))
    assert len(words) == len(written)
    for paragraph, found in zip(words, written, strict=True):
        # What needs the weights, and so TensorFlow, is only known to be there.
        parts = re.split(r"\{(\w+)\}", paragraph)
        parts[::2] = map(re.escape, parts[::2])
        parts[1::2] = [re.escape(values[name]) if name in values else ".+" for name in parts[1::2]]
        assert re.fullmatch("".join(parts), found, re.DOTALL), "run `make findings`"


def test_what_the_words_say_without_a_number_is_true():
    check_words()


@pytest.mark.parametrize("name", EXPERIMENT)
def test_the_last_printed_value_is_that_of_the_preset(name):
    assert EXPERIMENT[name].test[-1] == PRESETS[name].result
    assert len(EXPERIMENT[name].test) == 10


def test_pictures_and_headings_that_are_linked_are_there():
    text = DOCUMENT.read_text("utf-8")
    shown = re.findall(r"!\[[^]]+\]\(([^)]+)\)", text)
    assert {DOCUMENT.parent / path for path in shown} == set(IMAGES.iterdir())
    assert sum(path.stat().st_size for path in IMAGES.iterdir()) < MOST_BYTES
    headings = re.findall(r"^## (.+)$", text, re.MULTILINE)
    anchors = [re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings]
    assert re.findall(r"\]\(#([^)]+)\)", text) == anchors
    for path in re.findall(r"\]\((\.\./[^)]+)\)", text):
        assert (DOCUMENT.parent / path).exists()
