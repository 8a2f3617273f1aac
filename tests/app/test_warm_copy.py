"""A warm copy as serve keeps it: seeded, followed, replaced, and what a recovery goes on from."""

import json
from pathlib import Path

from tests.faults.conftest import make_estate
from tests.faults.estate import RESOURCE
from tests.servers.processes import wait_until
from understudy.ports.warm_copies import WarmCopy
from understudy.vocabulary.wal import Lsn

__all__ = ["make_estate"]


def test_a_warm_copy_is_seeded_followed_replaced_and_recovered_from(make_estate):
    estate = make_estate(warm_copy={}, checks=[{"sql": "select count(*) from ledger", "at_least": "1"}])
    estate.server.sql("create table ledger (id int); insert into ledger values (0)")
    estate.command("backup", "orders")
    estate.serve()
    first = wait_for_a_copy(estate)
    assert first.label == newest_label(estate)

    write_and_wait_until_replayed(estate, 1)
    estate.kill()  # whoever feeds it, and starts it again
    estate.serve()
    write_and_wait_until_replayed(estate, 2)

    estate.command("backup", "orders", "--full")
    second = wait_for_a_copy(estate, after=first)
    assert second.label == newest_label(estate)
    wait_until(lambda: leftovers(second) == [], "the copy before to be removed")
    write_and_wait_until_replayed(estate, 3)

    estate.server.sql("insert into ledger values (4)")
    estate.server.kill_everything()
    view = json.loads(estate.command("recover", "data_loss", "--yes", "--json").stdout)
    steps = {step["key"].partition("/")[2]: step for step in view["steps"]}
    assert "restore-base-backup" not in steps
    assert steps["take-warm-copy"]["evidence"]["proof"]["labels"] == [second.label]
    [[ids]] = estate.server.sql("select array_agg(id order by id) from ledger")
    assert ids == [0, 1, 2, 3, 4]

    third = wait_for_a_copy(estate, after=second)
    assert third.timeline == 2
    write_and_wait_until_replayed(estate, 5)
    wait_until(lambda: leftovers(third) == [], "nothing of the copy that was taken to be left")
    assert "Traceback" not in estate.log_text()


def wait_for_a_copy(estate, after: WarmCopy | None = None) -> WarmCopy:
    def there() -> bool:
        copy = estate.installation.warm_copies.read(RESOURCE)
        return copy is not None and copy.fault is None and copy.taken_by is None and (after is None or copy.run != after.run)

    try:
        wait_until(there, "a warm copy")
    except AssertionError as error:
        raise AssertionError(f"{error}: {estate.installation.warm_copies.read(RESOURCE)}\n{estate.log_text()}") from None
    return estate.installation.warm_copies.read(RESOURCE)


def newest_label(estate) -> str:
    return estate.status().resources[0].newest_backup.label


def write_and_wait_until_replayed(estate, number: int) -> None:
    estate.server.sql("insert into ledger values (%s)" % number)  # noqa: S608, UP031
    [[flushed]] = estate.server.sql("select pg_current_wal_flush_lsn()")

    def replayed(each) -> bool:
        return each.warm_copy.replayed_lsn != "" and Lsn.parse(each.warm_copy.replayed_lsn) >= Lsn.parse(flushed)

    estate.wait_for(replayed, f"the copy to replay {flushed}")


def leftovers(copy: WarmCopy) -> list[Path]:
    own = {Path(copy.directory), Path(copy.staging_directory)}
    return [each for each in Path(copy.directory).parent.iterdir() if each not in own]
