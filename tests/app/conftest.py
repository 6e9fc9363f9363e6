import pytest

from ndmixer.runs import files


@pytest.fixture(autouse=True)
def no_shipped_models(tmp_path_factory, monkeypatch):
    """What the pages say does not depend on the models that happen to ship."""
    monkeypatch.setattr(files, "MODELS", tmp_path_factory.mktemp("models"))
