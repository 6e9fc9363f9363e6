import pytest

from ndmixer.app.words import plain


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
