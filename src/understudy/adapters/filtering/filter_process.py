"""A child process as a filter over a stream: a thread feeds it, the caller reads what comes out."""

from __future__ import annotations

import fcntl
import os
import subprocess
import tempfile
import threading
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import IO, cast

from understudy.vocabulary.errors import UnderstudyError
from understudy.vocabulary.secret import Secret

PIECE_BYTES = 512 * 1024
_PIPE_BYTES = 1024 * 1024
_WORDS_BYTES = 16 * 1024

FailureOf = Callable[[int, str], UnderstudyError]
"""From exit status and last words to the error that they mean."""
VerdictOn = Callable[[str], UnderstudyError | None]
"""From the last words of a child that ended well by its exit status: None where it did."""


def filter_through(
    command: Callable[[str], Sequence[str]],
    chunks: Iterable[bytes],
    failure_of: FailureOf,
    secret: Secret | None = None,
    verdict_on: VerdictOn = lambda _: None,
    environment: Mapping[str, str] | None = None,
) -> Iterator[bytes]:
    """The command's output for ``chunks`` as its input, in pieces of 512 KiB.

    Args:
        command: Makes the argument list from the path under which the child reads ``secret``: a pipe, so that the secret is
            neither on a command line nor in a file.
        verdict_on: For a program whose exit status 0 does not say enough.
        environment: The child's; None: as that of this process.

    An exception of ``chunks`` kills the child before it could end its output well, and is raised here. Closing the iterator
    kills the child and waits for the thread.
    """
    with tempfile.TemporaryFile() as words:
        child = _start(command, secret, words, environment)
        feeder = _Feeder(child, chunks)
        feeder.start()
        stdin, stdout = _pipes(child)
        try:
            while piece := stdout.read(PIECE_BYTES):
                yield piece
            feeder.join()
            status = child.wait()
        finally:
            child.kill()
            feeder.join()
            child.wait()
            for pipe in (stdin, stdout):
                with suppress(OSError):
                    pipe.close()
        if feeder.error is not None:
            raise feeder.error
        words.seek(0)
        said = words.read(_WORDS_BYTES).decode(errors="replace").strip()
        if status != 0:
            raise failure_of(status, said)
        if (wrong := verdict_on(said)) is not None:
            raise wrong


def _start(
    command: Callable[[str], Sequence[str]], secret: Secret | None, words: IO[bytes], environment: Mapping[str, str] | None
) -> subprocess.Popen[bytes]:
    descriptor = _pipe_with(secret)
    try:
        child = subprocess.Popen(
            list(command(f"/dev/fd/{descriptor}")),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=words,
            bufsize=PIECE_BYTES,
            env=environment,
            pass_fds=() if descriptor is None else (descriptor,),
        )
    finally:
        if descriptor is not None:
            os.close(descriptor)
    for pipe in _pipes(child):
        with suppress(OSError):  # an unprivileged user may be over the limit for all pipes together
            fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
    return child


def _pipes(child: subprocess.Popen[bytes]) -> tuple[IO[bytes], IO[bytes]]:
    return cast(IO[bytes], child.stdin), cast(IO[bytes], child.stdout)


def _pipe_with(secret: Secret | None) -> int | None:
    """The reading end of a pipe that already holds the secret: it is far smaller than a pipe's room."""
    if secret is None:
        return None
    reading, writing = os.pipe()
    with os.fdopen(writing, "wb") as pipe:
        pipe.write(secret.reveal().encode())
    return reading


class _Feeder(threading.Thread):
    """Writes the chunks into the child, and lets go of their source when it ends, however it ends."""

    def __init__(self, child: subprocess.Popen[bytes], chunks: Iterable[bytes]) -> None:
        super().__init__(name="filter feeder", daemon=True)
        self._child = child
        self._stdin, _ = _pipes(child)
        self._chunks = chunks
        self.error: BaseException | None = None

    def run(self) -> None:
        descriptor = self._stdin.fileno()
        try:
            for chunk in self._chunks:
                rest = memoryview(chunk)
                while rest:
                    rest = rest[os.write(descriptor, rest) :]
        except BrokenPipeError:
            pass  # the child ended first; its exit status says why
        except BaseException as error:
            self.error = error
            self._child.kill()
        finally:
            if isinstance(self._chunks, Generator):
                with suppress(UnderstudyError):
                    self._chunks.close()
            with suppress(OSError):
                self._stdin.close()
