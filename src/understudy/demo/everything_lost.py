"""The third act: rows, files and objects are lost at once, with the host that protected them; a repository and the kit remain."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import cast

from understudy.app.installation import Installation
from understudy.demo.home import documents_directory, kit_file
from understudy.demo.ledger import Commit, compare, read_acknowledgements, read_ledger
from understudy.demo.played import Played
from understudy.demo.shelves import DOCUMENTS_LEDGER, IMAGES_LEDGER, Documents
from understudy.demo.stack_file import DOCUMENTS, IMAGES, RESOURCE, repository_url
from understudy.demo.stage import Stage
from understudy.vocabulary.identifiers import ResourceName

ACT = "3-complete-failure"
WRITERS = 2
_MORE = 20
"""Documents, and images, that are put before the last snapshots, and as many behind them."""


class EverythingLost(Stage):
    def __init__(self) -> None:
        super().__init__()
        self.kept_rows: Mapping[Commit, datetime] = {}
        """Of the first act: what was acknowledged, and came back."""

    def third_act(self, outcome: Played) -> None:
        self._work_and_back_up()
        disaster = self._lose_everything()
        self.images.start()
        self.tell(
            f"understudy adopt {repository_url(self.far)} --kit FILE: a new host, with the kit from the safe and an empty bucket"
        )
        began = self.clock.monotonic_seconds()
        adopted = self.command.answer("adopt", repository_url(self.far), "--kit", str(kit_file(self.home)))
        outcome.adopted_seconds = self.clock.monotonic_seconds() - began
        self.can_be_kept = True
        outcome.signers.append(str(cast("dict[str, object]", adopted["adoption"])["signer"]))
        [typed] = [words for words in map(shlex.split, cast("list[str]", adopted["next"])) if words[1] == "recover"]
        self.tell("what it says to type: " + " ".join(_shown(typed)))
        more = ["--since", disaster.isoformat(), "--report", str(self.reports / f"{ACT}.json")]
        outcome.everything = self.command.answer(*typed[1:], "--yes", *more, may_fail=True)
        self.require_success(outcome.everything)
        outcome.pages.append(self.write_page(outcome.everything, ACT))
        self._compare(outcome, disaster)

    def _work_and_back_up(self) -> None:
        self.tell(f"third act: {WRITERS} of the writers again, and two more, who fill the directory and the bucket")
        place = ("--documents", str(documents_directory(self.home)), "--images", self.images.endpoint, self.images.bucket)
        self.start_writers(self.ledger_of_everything, WRITERS, *place)
        self._wait_for_more()
        self.tell("understudy backup: of directory and bucket, under load")
        self.back_up(DOCUMENTS, IMAGES)
        self._wait_for_more()

    def _wait_for_more(self) -> None:
        ledgers = [self.ledger_of_everything / name for name in (DOCUMENTS_LEDGER, IMAGES_LEDGER)]
        goals = [len(read_acknowledgements(ledger)) + _MORE for ledger in ledgers]

        def reached() -> bool:
            return all(len(read_acknowledgements(ledger)) >= goal for ledger, goal in zip(ledgers, goals, strict=True))

        self.wait_for(f"{_MORE} documents and images more", reached)

    def _lose_everything(self) -> datetime:
        """When. What protects dies first, so that nothing that is written meanwhile is received."""
        receiver = Installation.open(self.stack_file).receivers[ResourceName(RESOURCE)].facts().pid
        disaster = self.clock.now()
        self.can_be_kept = False
        self.command.kill_serving()
        if receiver is not None:
            with suppress(ProcessLookupError):
                os.kill(receiver, signal.SIGKILL)
        self.database.kill_every_process()
        self.images.destroy()
        self._remove_all_of_the_host()
        self.tell(
            "DISASTER: SIGKILL to understudy serve, the WAL receiver, the database and the bucket; data, documents, images, "
            "spool, records, keys, the stack file and the near repository removed"
        )
        return disaster

    def _remove_all_of_the_host(self) -> None:
        lost = self.home / "lost"
        lost.mkdir()
        socket_directory = Path(self.database.place.socket_directory)  # the new host has PostgreSQL's, too
        database = [path for path in self.database.data.parent.iterdir() if path != socket_directory]
        keys = [self.keys.identity_file, self.keys.signing_key_file]
        # The stack file is the first: whoever is interrupted here has nothing to end any more by what it says.
        for path in [self.stack_file, *keys, documents_directory(self.home), *database, *self._of_this_host()]:
            path.rename(lost / path.name)  # at once; a directory that is written into cannot be removed
        self.end_writers()
        shutil.rmtree(lost)

    def _of_this_host(self) -> Sequence[Path]:
        return [path for path in (self.home / name for name in ("state", "repository", "drills")) if path.exists()]

    def _compare(self, outcome: Played, disaster: datetime) -> None:
        acknowledged = {**self.kept_rows, **read_ledger(self.ledger_of_everything)}
        documents, images = (
            read_acknowledgements(self.ledger_of_everything / name) for name in (DOCUMENTS_LEDGER, IMAGES_LEDGER)
        )
        outcome.compared = {
            "rows": compare(acknowledged, self.rows(), disaster),
            "files": compare(documents, Documents(documents_directory(self.home)).sound(), disaster),
            "objects": compare(images, self.images.objects().sound(), disaster),
        }


def _shown(words: Sequence[str]) -> Sequence[str]:
    """Without where the stack file of the demo is."""
    if "--stack" not in words:
        return words
    at = words.index("--stack")
    return [*words[:at], *words[at + 2 :]]
