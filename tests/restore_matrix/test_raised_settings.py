"""The source's settings were raised behind the backup: replay comes to that moment, and needs them too. Versions: 15 and 18."""

import pytest

from tests.restore_matrix.estate import dump_of
from tests.servers.flavours import Flavour
from understudy.app.recoveries import Choice
from understudy.vocabulary.recovery_target import LATEST, RecoveryTarget, TargetKind


@pytest.fixture(scope="module", params=[Flavour.DEBIAN_15, Flavour.WHEEL_18])
def raised(make_estate, request):
    estate = make_estate(request.param, segment_megabytes=1)
    server = estate.server
    server.sql("create table t (number int)")
    estate.back_up_well()
    for connections, number in ((80, 1), (100, 2)):
        server.settings["max_connections"] = str(connections)
        server.restart()
        server.sql(f"insert into t values ({number})")  # noqa: S608
        server.sql(f"select pg_create_restore_point('after {number}')")
    server.sql("insert into t values (3)")
    estate.ship()
    return estate


def test_a_server_whose_max_connections_were_raised_twice_behind_the_backup_comes_back_to_its_latest_commit(raised):
    copy = raised.restored(Choice(target=LATEST))
    assert copy.sql("select count(*) from t") == [(3,)]
    assert dump_of(copy) == dump_of(raised.server)


def test_the_pause_for_want_of_larger_settings_is_not_taken_for_the_target(raised):
    copy = raised.restored(Choice(target=RecoveryTarget(TargetKind.NAME, "after 2")))
    assert copy.sql("select max(number) from t") == [(2,)]
