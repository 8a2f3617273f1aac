"""What each step of a recovery does, in a sentence for people: by the verb in its key."""

from __future__ import annotations

from understudy.vocabulary.identifiers import StepKey

_WORDS = {
    "check-prerequisites": "Looks whether everything that the recovery needs is there, room included, before anything is "
    "touched.",
    "fence-old-server": "Stops the old server where it runs here, and makes sure that nothing answers at its addresses any more.",
    "ship-remaining-wal": "Ships the WAL that was received here and not stored yet, then what the old server left in its "
    "directory.",
    "ship-spooled-wal": "Ships the WAL that was received here and not stored yet; the server goes on.",
    "provision-target": "Claims the place. What stands there is set aside by renaming it, and removed by nobody.",
    "restore-base-backup": "Restores the backup, and compares every part, every file and the signatures on the way.",
    "replay-wal": "Starts the server closed to everybody, and replays WAL up to the target.",
    "promote": "Ends the replay: the server becomes one that can write.",
    "verify-database": "Reads every row of every database, and asks the checks of the stack file.",
    "check-pages": "Compares every page of the data files with its checksum.",
    "open-to-clients": "Opens the server to its clients.",
    "write-and-read-back": "Writes a row and reads it back over another connection: here the recovery time ends.",
    "check-address": "Makes sure that the declared address leads to the recovered server, before anything is protected anew.",
    "start-wal-stream": "Starts to receive the WAL of the recovered server.",
    "take-base-backup": "Takes a full backup of the recovered server: protection begins anew.",
    "write-backup-manifest": "Signs the new backup.",
    "release-target": "Takes this run's markers out of the place, and removes what was fetched ahead.",
    "remove-sandbox": "Stops the drill's server and removes all that the drill made.",
    "discard-unfinished": "After a failure only: removes what is half restored, and brings back what had been set aside.",
    "restore-snapshot": "Restores every content, and compares each with its SHA-256 on the way.",
    "compare-restored": "Reads back what was restored from where it lies, and compares all of it.",
    "try-restored": "Loads what came back into a server of its own, and counts the keys.",
    "stop-server": "Ends the server whose data come back, by the command of the stack file.",
    "start-server": "Starts the server by the command of the stack file, and counts its keys.",
    "stop": "Stops the service by its command, so that nothing is written meanwhile.",
    "start": "Starts the service by its command.",
    "check": "Asks the service's own check whether it serves.",
    "provision-sandbox": "Makes a directory of its own for a drilled service.",
    "check-isolation": "Looks whether the drilled service has anything of what serves open.",
    "end-drill": "Ends the drilled service, and sees that none of its processes is left.",
    "rotate": "Runs the operator's commands that change what an intruder may have seen.",
    "load": "Hands what came back to the load command of the stack file.",
    "remove-loaded": "Removes the copy that the load command was given.",
}


def step_words(key: StepKey) -> str:
    """Of a step that this table does not know, its verb: a step is called by what it does."""
    verb = key.partition("/")[2]
    if verb in _WORDS:
        return _WORDS[verb]
    if verb.startswith("await-wal-in-"):
        return f"Waits until all WAL of the new backup is stored in {verb.removeprefix('await-wal-in-')}."
    for begin in ("copy-backup-to-", "copy-snapshot-to-"):
        if verb.startswith(begin):
            return f"Copies it into {verb.removeprefix(begin)}, and compares every object."
    return f"{verb.replace('-', ' ').capitalize()}."
