"""Indexes that were built by rules that this host does not sort by: their versions are in the catalogs of a real server."""

import pytest

from tests.adapters.postgres.clusters import clusters
from tests.servers.flavours import Flavour

__all__ = ["clusters"]

_PROVIDERS = {
    Flavour.DEBIAN_15: ("icu", "icu_locale", ("de", "fr")),
    Flavour.WHEEL_18: ("builtin", "builtin_locale", ("C.UTF-8", "C")),  # built without ICU
}


@pytest.fixture(params=_PROVIDERS)
def cluster(clusters, request):
    made = clusters(request.param)
    made.start()
    made.wait_until_ready()
    provider, _, (used, idle) = _PROVIDERS[request.param]
    made.instances.execute(
        made.place,
        [
            f"create collation sorted (provider = {provider}, locale = '{used}')",
            f"create collation idle (provider = {provider}, locale = '{idle}')",
            'create table words (id int primary key, word text collate sorted, plain text collate "C")',
            "create index by_word on words (word)",
            "create index by_plain on words (plain)",
            "create index by_comparison on words ((word < 'm'))",
            "create index by_part on words (id) where word > 'm'",
            "create index by_other_order on words (id) where plain collate sorted > 'm'",
        ],
    )
    return made


def changes(cluster, database="postgres"):
    return cluster.instances.changed_collations(cluster.place, database)


def test_collations_of_this_host_have_not_changed(cluster):
    assert changes(cluster).collations == ()
    assert (changes(cluster).indexes, changes(cluster).index_count) == ((), 0)


def test_a_collation_in_use_that_changed_is_named_with_the_indexes_that_depend_on_it(cluster):
    cluster.instances.execute(cluster.place, ["update pg_collation set collversion = '0.1' where collname in ('sorted', 'idle')"])
    found = changes(cluster)
    assert [(each.name, each.recorded_version) for each in found.collations] == [("collation public.sorted", "0.1")]
    assert found.collations[0].actual_version not in (None, "0.1")
    assert found.indexes == tuple(f"public.by_{each}" for each in ("comparison", "other_order", "part", "word"))
    assert found.index_count == 4
    cluster.instances.execute(cluster.place, ["alter collation sorted refresh version"])
    assert changes(cluster).collations == ()


def test_a_default_collation_that_changed_names_every_index_that_sorts_by_it(cluster):
    instances, place = cluster.instances, cluster.place
    provider, option, (locale, _) = _PROVIDERS[cluster.flavour]
    make = f"create database wordy locale_provider {provider} {option} '{locale}' template template0"
    instances.execute(place, [make])
    instances.execute(place, ["create table t (id int primary key, word text)", "create index t_word on t (word)"], "wordy")
    assert changes(cluster, "wordy").collations == ()
    instances.execute(place, ["update pg_database set datcollversion = '0.1' where datname = 'wordy'"])
    found = changes(cluster, "wordy")
    assert [(each.name, each.recorded_version) for each in found.collations] == [("default of database wordy", "0.1")]
    assert found.indexes == ("public.t_word",)
    assert changes(cluster).collations == ()
