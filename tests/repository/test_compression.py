"""zstd frames in order, in bounded memory, and every cut seen."""

import io
import itertools
import os
import random
import shutil
import subprocess

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from understudy.repository.compression import FRAME_BYTES, compress, decompress
from understudy.repository.zstd_frames import FrameTracker
from understudy.vocabulary.errors import GiveUp


def in_pieces(data: bytes, size: int):
    return [data[at : at + size] for at in range(0, len(data), size)]


@settings(deadline=None, max_examples=40)
@given(st.lists(st.binary(max_size=300_000), max_size=12), st.integers(1, 100_000))
def test_what_was_compressed_comes_back(chunks, piece):
    packed = b"".join(compress(chunks))
    assert b"".join(decompress(in_pieces(packed, piece))) == b"".join(chunks)


def test_frames_are_independent_and_in_order():
    plain = os.urandom(100) * 50_000
    frames = list(compress(in_pieces(plain, 123_457)))
    assert len(frames) == 5
    assert b"".join(zstandard.ZstdDecompressor().decompress(frame) for frame in frames) == plain


def test_the_zstd_program_reads_it():
    if shutil.which("zstd") is None:
        pytest.skip("the zstd program is not installed")
    plain = os.urandom(1000) * 3000
    shown = subprocess.run(["zstd", "-d"], input=b"".join(compress([plain])), capture_output=True, check=True)
    assert shown.stdout == plain


def test_an_empty_stream_is_one_empty_frame():
    packed = b"".join(compress([]))
    assert packed
    assert list(decompress([packed])) == []


def test_input_is_taken_only_as_fast_as_output_is():
    taken = itertools.count()

    def endless():
        while True:
            next(taken)
            yield bytes(FRAME_BYTES)

    packed = compress(endless(), threads=2)
    next(packed)
    assert next(taken) <= 8
    packed.close()


def test_the_error_of_the_source_passes_through():
    def failing():
        yield b"x" * 3_000_000
        raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        list(compress(failing()))


def test_a_bomb_comes_out_in_small_pieces():
    packed = b"".join(compress([bytes(FRAME_BYTES)] * 200))
    assert len(packed) < 20_000
    assert max(len(piece) for piece in decompress([packed])) <= FRAME_BYTES


@settings(deadline=None, max_examples=60)
@given(st.binary(min_size=1, max_size=5000), st.integers(0, 10_000))
def test_every_cut_within_a_frame_is_noticed(plain, cut):
    first, second = zstandard.ZstdCompressor().compress(plain), zstandard.ZstdCompressor(write_checksum=True).compress(plain * 3)
    packed = first + second
    kept = packed[: cut % len(packed)]
    if len(kept) in (0, len(first)):
        assert b"".join(decompress([kept])) in (b"", plain)
        return
    with pytest.raises(GiveUp) as refused:
        list(decompress([kept]))
    assert refused.value.code == "compressed_corrupt"


@pytest.mark.parametrize("junk", [b"hello, this is no zstd at all", b"\x28\xb5\x2f\xfd\xff\xff\xff\xff\xff"])
def test_what_is_no_zstd_is_refused(junk):
    with pytest.raises(GiveUp) as refused:
        list(decompress([junk]))
    assert refused.value.code == "compressed_corrupt"


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.binary(max_size=400_000) | st.integers(0, 400_000).map(bytes), min_size=1, max_size=4),
    st.booleans(),
    st.booleans(),
    st.integers(1, 70_000),
)
def test_the_tracker_agrees_with_the_encoder_on_where_frames_end(plains, checksum, streamed, piece):
    ends, packed = {0}, b""
    for plain in plains:
        compressor = zstandard.ZstdCompressor(write_checksum=checksum, level=1)
        if streamed:
            sink = io.BytesIO()
            with compressor.stream_writer(sink, closefd=False) as writer:
                writer.write(plain)
            packed += sink.getvalue()
        else:
            packed += compressor.compress(plain)
        packed += b"\x5a\x2a\x4d\x18" + (3).to_bytes(4, "little") + b"abc"
        ends.add(len(packed))
    tracker, position = FrameTracker(), 0
    for chunk in in_pieces(packed, piece):
        tracker.feed(chunk)
        position += len(chunk)
        if position in ends:
            assert tracker.between_frames
    assert tracker.between_frames
    tracker = FrameTracker()
    tracker.feed(packed[:-1])
    assert not tracker.between_frames


def frames_at(level: int, plain: bytes, frames: int):
    compressor = zstandard.ZstdCompressor(level=level)
    return [compressor.compress(plain[at : at + FRAME_BYTES]) for at in range(0, frames * FRAME_BYTES, FRAME_BYTES)]


def words(frames: int, seed: int) -> bytes:
    """Prose of sorts: a higher level finds more in it."""
    of = random.Random(seed)
    vocabulary = ["".join(of.choices("etaoinshrdlu", k=of.randint(2, 9))) for _ in range(5000)]
    return " ".join(of.choices(vocabulary, k=frames * FRAME_BYTES // 3)).encode()[: frames * FRAME_BYTES]


def noise(frames: int, seed: int) -> bytes:
    return random.Random(seed).randbytes(frames * FRAME_BYTES)


def test_what_a_higher_level_makes_smaller_is_compressed_at_the_level_asked_for():
    plain = words(20, seed=1)
    at_three, at_one = frames_at(3, plain, 20), frames_at(1, plain, 20)
    assert len(b"".join(at_three)) < 0.98 * len(b"".join(at_one))
    assert list(compress([plain], level=3, threads=1)) == at_three


def test_what_a_higher_level_does_not_make_smaller_costs_no_more_than_the_fastest():
    plain = noise(4, seed=2)
    assert list(compress([plain], level=9, threads=1))[1:] == frames_at(1, plain, 4)[1:]


def test_a_table_of_text_behind_one_of_noise_is_noticed_within_sixteen_frames():
    plain = noise(16, seed=3) + words(17, seed=4)
    packed = list(compress([plain], level=3, threads=1))
    assert packed[16:] == frames_at(3, plain[16 * FRAME_BYTES :], 17)
