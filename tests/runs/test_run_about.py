import pytest

from ndmixer import TrainSpec, runs
from tests.runs.made import TINY


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"null", b"\xff\xfe", b"{}", b'{"model": 1, "train": {}}'],
    ids=repr,
)
def test_garbage_for_a_specification_is_unreadable(run, content):
    (run.folder / "spec.json").write_bytes(content)
    assert run.status() == "unreadable"
    with pytest.raises(ValueError, match=r"spec\.json"):
        _ = run.info


def test_run_is_renamed_and_noted_on_beside_its_specification(run):
    before = (run.folder / "spec.json").read_bytes()
    assert (run.name, run.note) == (run.id, "")
    run.describe(name="  Ünïcode \n <b>名前</b> 🎉 ")
    run.describe(note="a\nb  <script>alert(1)</script> \ud800\n")
    assert run.name == "Ünïcode <b>名前</b> 🎉"
    assert run.note == "a\nb  <script>alert(1)</script> ?"
    run.describe(name="")
    assert (run.name, run.note[:1]) == (run.id, "a")
    assert (run.folder / "spec.json").read_bytes() == before
    assert not list(run.folder.glob(".*"))


def test_name_given_at_the_start_can_be_taken_back(folder):
    run = runs.create(TINY, TrainSpec(), name="first")
    run.describe(note="x")
    assert run.name == "first"
    run.describe(name="")
    assert run.name == run.id


@pytest.mark.parametrize("text", [{"name": "x" * 81}, {"note": "é" * 4_001}], ids=["name", "note"])
def test_description_that_is_too_long_changes_nothing(run, text):
    run.describe(name="n" * 80, note="y" * 4_000)
    with pytest.raises(ValueError, match=r"of at most .* characters\. Received: "):
        run.describe(**text)
    assert (run.name, run.note) == ("n" * 80, "y" * 4_000)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"name": 3, "note": null}', b"\xff"])
def test_damaged_description_is_passed_over(run, content):
    (run.folder / "about.json").write_bytes(content)
    assert (run.name, run.note) == (run.id, "")
    run.describe(name="new")
    assert run.name == "new"
