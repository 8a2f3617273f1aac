"""What runs in the child process: stdin to stdout through pyrage. Imports nothing of this package, so that it starts at once.

Arguments: the directory that pyrage is installed in, then ``seal RECIPIENT…`` or ``open PATH`` with the path of the identity.
"""

import io
import sys
from enum import IntEnum

_BUFFER_BYTES = 1024 * 1024


class ExitStatus(IntEnum):
    """Away from the ones that Python and shells use themselves."""

    WRONG_KEY = 40
    CORRUPT = 41
    IDENTITY_MALFORMED = 42


def main() -> int:
    packages, mode, *arguments = sys.argv[1:]
    sys.path.append(packages)
    import pyrage

    # pyrage reads and writes 8 to 64 KiB at a time: the buffers turn that into few system calls.
    source = io.BufferedReader(io.FileIO(0, "rb", closefd=False), _BUFFER_BYTES)
    # Not closed on an error: what is buffered then never leaves the process.
    sink = io.BufferedWriter(io.FileIO(1, "wb", closefd=False), _BUFFER_BYTES)
    if mode == "seal":
        recipients = [pyrage.x25519.Recipient.from_str(each) for each in arguments]
        pyrage.encrypt_io(source, sink, recipients)
    else:
        try:
            with io.open(arguments[0]) as file:  # noqa: UP020  (pathlib would double the start-up time)
                lines = [line.strip() for line in file]
            identities = [pyrage.x25519.Identity.from_str(line) for line in lines if line and not line.startswith("#")]
        except pyrage.IdentityError:
            return ExitStatus.IDENTITY_MALFORMED
        if not identities:
            return ExitStatus.IDENTITY_MALFORMED
        try:
            pyrage.decrypt_io(source, sink, identities)
        except (pyrage.DecryptError, OSError) as error:
            sys.stderr.write(str(error))
            return ExitStatus.WRONG_KEY if "No matching keys" in str(error) else ExitStatus.CORRUPT
    sink.flush()
    return 0


if __name__ == "__main__":
    import os

    status = main()
    sys.stderr.flush()
    os._exit(status)
