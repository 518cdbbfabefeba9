"""Pictures at rest: once, deflated, and as they were."""

import gc
import pickle

import numpy as np

from agentlab_runner.runners.frames import Frame, Frames, frame_of, name_of, shape_of


def screen(shade: int) -> dict:
    return {"text": "go", "image": np.full((64, 32, 3), shade, dtype=np.uint8), "vector": np.arange(3.0)}


def test_an_observation_reads_as_before():
    kept = Frames().keep(screen(7))
    assert list(kept) == ["text", "image", "vector"]
    assert dict(kept)["text"] == "go"
    np.testing.assert_array_equal(kept["image"], screen(7)["image"])
    np.testing.assert_array_equal(kept["vector"], screen(7)["vector"])
    assert kept["image"].dtype == np.uint8


def test_equal_pictures_are_one_frame_for_as_long_as_somebody_holds_it():
    frames = Frames()
    first, second, other = frames.keep(screen(1)), frames.keep(screen(1)), frames.keep(screen(2))
    assert first.entries["image"] is second.entries["image"] is not other.entries["image"]
    assert len(frames) == 2
    del first, second
    gc.collect()
    assert len(frames) == 1


def test_a_frame_is_small():
    frame = Frame.of(np.zeros((570, 270, 3), dtype=np.uint8))
    assert len(frame.packed) < frame.array().nbytes / 100


def test_what_is_kept_owes_nothing_to_what_was_given():
    given = screen(5)
    kept = Frames().keep(given)
    given["image"][:] = 0
    given["vector"][:] = 0
    assert kept["image"].max() == 5
    assert kept["vector"].max() == 2


def test_names_tell_content_shape_and_type_apart_whether_at_rest_or_not():
    plain, kept = screen(3), Frames().keep(screen(3))
    assert name_of(plain) == name_of(kept) != name_of(screen(4))
    assert frame_of(plain, "image") == frame_of(kept, "image")
    assert shape_of(plain, "image") == shape_of(kept, "image") == (64, 32, 3)
    turned = {**plain, "image": plain["image"].reshape(32, 64, 3)}
    assert name_of(turned) != name_of(plain)


def test_it_travels_between_processes():
    kept = Frames().keep(screen(9))
    again = Frames().keep(pickle.loads(pickle.dumps(kept)))  # noqa: S301 - our own
    np.testing.assert_array_equal(again["image"], kept["image"])
    assert name_of(again) == name_of(kept)
