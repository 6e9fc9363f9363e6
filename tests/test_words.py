import pytest

from ndmixer.app.words import ordinal, plain


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Ünïcode 名前 🎉 1", "Ünïcode 名前 🎉 1"),
        ("_a_ *b* `c`", r"\_a\_ \*b\* \`c\`"),
        ("![x](y) <b> :smile: $z$", r"\!\[x\]\(y\) \<b\> \:smile\: \$z\$"),
        ("back\\slash", r"back\\slash"),
    ],
)
def test_text_from_elsewhere_is_no_markdown(text, shown):
    assert plain(text) == shown


def test_places_are_counted_in_words():
    told = [ordinal(number) for number in (1, 2, 3, 4, 11, 12, 13, 21, 102, 111)]
    assert told == ["1st", "2nd", "3rd", "4th", "11th", "12th", "13th", "21st", "102nd", "111th"]
