"""What holds for fitted models on every backend."""

from __future__ import annotations

import io
import pickle
import subprocess
import sys
import textwrap
import zipfile
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from google.api_core.exceptions import NotFound, PreconditionFailed
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from gcp_accessor import MissingExtra, UnsafeContent

if TYPE_CHECKING:
    from gcp_accessor import CloudStorageAccessor

X = np.random.default_rng(7).normal(size=(40, 3))
Y = (X[:, 0] > 0).astype(int)


@pytest.fixture
def model() -> Any:
    return make_pipeline(StandardScaler(), LogisticRegression()).fit(X, Y)


@pytest.mark.parametrize(
    ("name", "trust"), [("m.skops", False), ("m.pkl", True), ("m.pickle", True), ("m.joblib", True)]
)
def test_a_model_predicts_as_it_did(
    store: CloudStorageAccessor, model: Any, name: str, trust: bool
) -> None:
    stored = store.write_model(f"gs://lessons/{name}", model, trust=trust)

    read = store.read_model(f"gs://lessons/{name}", trust=trust)

    np.testing.assert_array_equal(read.predict_proba(X), model.predict_proba(X))
    assert stored == store.stat(f"gs://lessons/{name}")


@pytest.mark.parametrize("name", ["m.pkl", "m.pickle", "m.joblib", "M.PKL"])
def test_a_pickle_is_neither_written_nor_read_without_trust(
    store: CloudStorageAccessor, model: Any, name: str
) -> None:
    store.write(f"gs://lessons/{name}", pickle.dumps(Explosive()))

    with pytest.raises(UnsafeContent, match=r"is a pickle.*trust=True"):
        store.write_model(f"gs://lessons/{name}", model)
    with pytest.raises(UnsafeContent, match=r"is a pickle.*trust=True"):
        store.read_model(f"gs://lessons/{name}")

    # Nor by the way of anything else.
    assert isinstance(store.read(f"gs://lessons/{name}"), bytes)
    assert not Explosive.went_off


class Explosive:
    went_off = False

    def __reduce__(self) -> Any:
        return setattr, (Explosive, "went_off", True)


def test_types_that_may_be_unsafe_are_named_and_can_be_trusted_one_by_one(
    store: CloudStorageAccessor,
) -> None:
    forest = RandomForestClassifier(3, random_state=0).fit(X, Y)
    store.write_model("gs://lessons/forest.skops", forest)

    with pytest.raises(UnsafeContent, match=r"sklearn\.tree\._tree\.Tree; if you trust") as caught:
        store.read_model("gs://lessons/forest.skops")
    assert "trusted=['sklearn.tree._tree.Tree']" in str(caught.value)

    for options in ({"trusted": ["sklearn.tree._tree.Tree"]}, {"trust": True}):
        read = store.read_model("gs://lessons/forest.skops", **options)  # type: ignore[arg-type]
        np.testing.assert_array_equal(read.predict(X), forest.predict(X))


def test_a_function_that_a_model_would_call_is_not_trusted(store: CloudStorageAccessor) -> None:
    store.write_model("gs://lessons/m.skops", FunctionTransformer(subprocess.getoutput))

    with pytest.raises(UnsafeContent, match=r"subprocess\.getoutput"):
        store.read_model("gs://lessons/m.skops")


def test_the_same_model_is_the_same_bytes_in_every_process(
    store: CloudStorageAccessor, model: Any
) -> None:
    program = """
        import sys
        import numpy as np
        from sklearn.linear_model import LogisticRegression
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler
        from gcp_accessor.storage.skops_files import content_of
        X = np.random.default_rng(7).normal(size=(40, 3))
        Y = (X[:, 0] > 0).astype(int)
        model = make_pipeline(StandardScaler(), LogisticRegression()).fit(X, Y)
        sys.stdout.buffer.write(content_of(model))
    """
    elsewhere = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)], capture_output=True, check=True
    ).stdout

    store.write_model("gs://lessons/m.skops", model)

    assert store.read("gs://lessons/m.skops", as_="bytes") == elsewhere


def archive(**members: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as held:
        for name, content in members.items():
            held.writestr(name.replace("_", "."), content)
    return file.getvalue()


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("m.skops", b"", "is not a .skops file"),
        ("m.skops", b"text", "is not a .skops file"),
        ("m.skops", archive(other_json=b"{}"), "has no schema.json"),
        ("m.pkl", b"", "is not a whole pickle"),
        ("m.pkl", pickle.dumps([1, 2, 3])[:-2], "is not a whole pickle"),
        ("m.txt", b"", "does not say how the model is written"),
    ],
)
def test_what_is_no_model_is_one_clear_sentence(
    store: CloudStorageAccessor, name: str, content: bytes, message: str
) -> None:
    store.write(f"gs://lessons/{name}", content)

    with pytest.raises(ValueError, match=message.replace(".", r"\.")):
        store.read_model(f"gs://lessons/{name}", trust=True)


def test_a_bomb_of_a_model_is_stopped_before_it_is_unpacked(store: CloudStorageAccessor) -> None:
    bomb = archive(schema_json=b"{}", big_npy=bytes(50_000_000))
    store.write("gs://lessons/m.skops", bomb)

    with pytest.raises(UnsafeContent, match="grows beyond 1,000,000 bytes"):
        store.read_model("gs://lessons/m.skops", max_bytes=1_000_000)


def test_a_model_keeps_to_preconditions_and_versions(
    store: CloudStorageAccessor, model: Any
) -> None:
    first = store.write_model("gs://lessons/m.skops", model, if_exists="fail")

    with pytest.raises(PreconditionFailed):
        store.write_model("gs://lessons/m.skops", model, if_exists="fail")
    store.write_model("gs://lessons/m.skops", model, if_generation=first.generation)
    with pytest.raises(NotFound):
        store.read_model("gs://lessons/m.skops", generation=first.generation)


def test_what_has_no_safe_form_is_not_written(store: CloudStorageAccessor) -> None:
    with pytest.raises(TypeError) as caught:
        store.write_model("gs://lessons/m.skops", (number for number in range(3)))

    assert "a .pkl with trust=True" in caught.value.__notes__[0]
    assert not store.exists("gs://lessons/m.skops")


def test_a_missing_library_is_named_with_the_command(
    store: CloudStorageAccessor, model: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("skops", "skops.io", "joblib"):
        monkeypatch.setitem(sys.modules, name, None)

    for name in ("m.skops", "m.joblib"):
        with pytest.raises(MissingExtra, match=r"pip install 'gcp-accessor\[models\]'"):
            store.write_model(f"gs://lessons/{name}", model, trust=True)
