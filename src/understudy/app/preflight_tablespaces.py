"""Which tablespaces the newest backup holds, for ``check``. Nothing is made anywhere."""

from __future__ import annotations

from understudy.app.installation import Installation
from understudy.app.repositories import made_repository
from understudy.vocabulary.errors import UnderstudyError
from understudy.vocabulary.identifiers import ResourceName, SystemIdentifier


def backed_up_tablespaces(installation: Installation, name: ResourceName, cluster: SystemIdentifier) -> frozenset[int] | None:
    """By oid, of the cluster's newest backup in the first repository that has one. None: there is none, or nobody can tell."""
    for repository in installation.repository_names(name):
        try:
            backups = made_repository(installation, repository).backups(name, cluster).usable
        except UnderstudyError:
            continue  # what is wrong with it stands among the findings of that repository
        if backups:
            newest = max(backups, key=lambda backup: backup.stop_time)
            return frozenset(tablespace.oid for tablespace in newest.tablespaces)
    return None
