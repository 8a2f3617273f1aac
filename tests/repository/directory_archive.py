"""An archive that is a directory of plain files."""

from pathlib import Path

from understudy.vocabulary.wal import history_file_name


class DirectoryArchive:
    """An archive of plain files. ``before`` is called with each name before it is read."""

    def __init__(self, directory, before=lambda name: None):
        self.directory = Path(directory)
        self.before = before

    def fetch_segment(self, segment):
        return [self._read(segment.name)]

    def fetch_history(self, timeline):
        return self._read(history_file_name(timeline))

    def _read(self, name):
        self.before(name)
        return (self.directory / name).read_bytes()
