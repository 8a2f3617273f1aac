"""The chain of evidence, and a negative control for everything that can be done to it."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.records.cast import HeadSigner, submission, succeeded
from understudy.adapters.clock.system import SystemClock
from understudy.records.chain import ChainHead, ChainLink, head_from_json, link_digest
from understudy.records.export import export_chain, export_run, verify_export, write_export
from understudy.records.records import Records
from understudy.records.verification import ChainFault, verify_chain
from understudy.vocabulary.canonical import sha256_of
from understudy.vocabulary.errors import GiveUp
from understudy.vocabulary.identifiers import RunId, StepKey

SIGNER = HeadSigner()
TRUSTED = frozenset({SIGNER.public_key})


@pytest.fixture
def records(tmp_path: Path) -> Iterator[Records]:
    """Two runs of two steps, their evidence interleaved."""
    records = Records(tmp_path, SystemClock(), SIGNER)
    for run in ("r1", "r2"):
        records.submit(submission(run))
    for run, step in (("r1", "a"), ("r2", "a"), ("r1", "b"), ("r2", "b")):
        records.begin_step(RunId(run), StepKey(step))
        records.conclude_step(RunId(run), StepKey(step), succeeded(proof={"by": f"{run}/{step}", "ratio": 0.1}))
    yield records
    records.close()


@pytest.fixture
def links(records: Records) -> list[ChainLink]:
    return list(records.chain()[0])


@pytest.fixture
def head(records: Records) -> ChainHead:
    head = records.chain()[1]
    assert head is not None
    return head


def faults(links: list[ChainLink], head: ChainHead | None, known: list[ChainHead] | None = None) -> set[ChainFault]:
    return {each.fault for each in verify_chain(links, head, TRUSTED, known or [])}


def rechained(links: list[ChainLink]) -> list[ChainLink]:
    """What a careful forger makes: every digest fits again."""
    made: list[ChainLink] = []
    previous = "0" * 64
    for sequence, link in enumerate(links, start=1):
        assert link.record is not None
        record_sha256 = sha256_of(link.record)
        digest = link_digest(sequence, link.run, link.step, record_sha256, previous)
        made.append(ChainLink(sequence, link.run, link.step, link.record, record_sha256, previous, digest))
        previous = digest
    return made


def edited(link: ChainLink) -> ChainLink:
    assert link.record is not None
    return replace(link, record={**link.record, "state": "failed"})


def test_an_untouched_chain_has_no_findings(links: list[ChainLink], head: ChainHead) -> None:
    assert len(links) == head.count == 4
    assert verify_chain(links, head, TRUSTED, [head]) == ()


def test_an_edited_record_is_found(links: list[ChainLink], head: ChainHead) -> None:
    links[1] = edited(links[1])
    assert faults(links, head) == {ChainFault.RECORD_EDITED}


def test_an_edited_record_with_its_own_digest_made_to_fit_is_found(links: list[ChainLink], head: ChainHead) -> None:
    record = edited(links[1]).record
    assert record is not None
    links[1] = replace(links[1], record=record, record_sha256=sha256_of(record))
    assert ChainFault.LINK_EDITED in faults(links, head)


def test_a_chain_made_to_fit_throughout_is_found_by_its_head(links: list[ChainLink], head: ChainHead) -> None:
    links[1] = edited(links[1])
    assert faults(rechained(links), head) == {ChainFault.HEAD_MISMATCH}


@pytest.mark.parametrize("removed", [0, 1, 2])
def test_a_removed_record_is_found(links: list[ChainLink], head: ChainHead, removed: int) -> None:
    del links[removed]
    assert ChainFault.ORDER_BROKEN in faults(links, head)
    assert ChainFault.CUT_OFF in faults(rechained(links), head)


def test_reordered_records_are_found(links: list[ChainLink], head: ChainHead) -> None:
    links[1], links[2] = links[2], links[1]
    assert ChainFault.ORDER_BROKEN in faults(links, head)
    assert faults(rechained(links), head) == {ChainFault.HEAD_MISMATCH}


def test_a_record_without_content_is_found(links: list[ChainLink], head: ChainHead) -> None:
    links[1] = replace(links[1], record=None)
    assert faults(links, head) == {ChainFault.RECORD_MISSING}


@pytest.mark.parametrize("kept", [0, 1, 3])
def test_a_cut_off_tail_is_found(links: list[ChainLink], head: ChainHead, kept: int) -> None:
    assert ChainFault.CUT_OFF in faults(links[:kept], head)


def test_a_tail_cut_off_together_with_its_head_is_found_by_a_head_seen_elsewhere(
    records: Records, links: list[ChainLink], head: ChainHead
) -> None:
    body = {
        "document": "evidence-head",
        "controller": head.controller,
        "count": 2,
        "digest": links[1].digest,
        "at": head.at.isoformat(),
    }
    older = head_from_json(SIGNER.sign(body))
    assert faults(links[:2], older) == set()
    assert faults(links[:2], older, [head]) == {ChainFault.CUT_OFF}


def test_a_chain_without_a_head_is_found(links: list[ChainLink]) -> None:
    assert faults(links, None) == {ChainFault.HEAD_MISSING}


def test_a_forged_head_is_found(links: list[ChainLink], head: ChainHead) -> None:
    assert faults(links[:3], replace(head, count=3, digest=links[2].digest)) == {ChainFault.HEAD_FORGED}
    assert faults(links, replace(head, signature="AAAA")) == {ChainFault.HEAD_FORGED}
    assert faults(links, replace(head, signature=None)) == {ChainFault.HEAD_UNSIGNED}


def test_a_head_signed_by_a_stranger_is_found(links: list[ChainLink], head: ChainHead) -> None:
    body = {
        "document": "evidence-head",
        "controller": head.controller,
        "count": head.count,
        "digest": head.digest,
        "at": head.at.isoformat(),
    }
    assert faults(links, head_from_json(HeadSigner().sign(body))) == {ChainFault.SIGNER_UNKNOWN}


def test_the_database_itself_changed_behind_our_back_is_found(records: Records) -> None:
    with records._database.writing() as connection:
        connection.execute("UPDATE chain SET record = replace(record, 'r2/a', 'r2/x')")
    links, head = records.chain()
    assert {each.fault for each in verify_chain(links, head, TRUSTED)} == {ChainFault.RECORD_EDITED}


def test_an_exported_chain_is_verified_from_its_file(records: Records, tmp_path: Path) -> None:
    path = tmp_path / "chain.json"
    write_export(path, export_chain(records))
    assert verify_export(json.loads(path.read_text()), TRUSTED) == ()


def test_one_runs_export_shows_nothing_of_other_runs_and_is_verified(records: Records) -> None:
    exported = json.loads(json.dumps(export_run(records, RunId("r1"))))
    assert verify_export(exported, TRUSTED) == ()
    assert "r2/a" not in json.dumps(exported)
    assert [each["step"] for each in exported["steps"]] == ["a", "b"]


Edit = Any


@pytest.mark.parametrize(
    ("edit", "fault"),
    [
        (lambda it: it["links"][0]["record"].update(state="failed"), ChainFault.RECORD_EDITED),
        (lambda it: it["steps"][0].update(state="failed"), ChainFault.RECORD_EDITED),
        (lambda it: it["steps"][0]["evidence"]["proof"].update(by="me"), ChainFault.RECORD_EDITED),
        (lambda it: it["links"][2].pop("record"), ChainFault.RECORD_MISSING),
        (lambda it: it["steps"].pop(0), ChainFault.RECORD_MISSING),
        (lambda it: it["links"].pop(1), ChainFault.ORDER_BROKEN),
        (lambda it: it["links"].pop(3), ChainFault.CUT_OFF),
        (lambda it: it["head"]["signed"].update(count=5), ChainFault.HEAD_FORGED),
        (lambda it: it.update(head=None), ChainFault.HEAD_MISSING),
    ],
)
def test_what_is_done_to_one_runs_export_is_found(records: Records, edit: Edit, fault: ChainFault) -> None:
    exported = json.loads(json.dumps(export_run(records, RunId("r1"))))
    edit(exported)
    assert fault in {each.fault for each in verify_export(exported, TRUSTED)}


def test_a_link_hidden_as_another_runs_is_found(records: Records) -> None:
    exported = json.loads(json.dumps(export_run(records, RunId("r1"))))
    exported["links"][2]["run"] = "r2"
    del exported["links"][2]["record"]
    assert ChainFault.LINK_EDITED in {each.fault for each in verify_export(exported, TRUSTED)}


@pytest.mark.parametrize("damage", [{"format": "a poem"}, {"links": 7}, {"links": [{}]}, {"head": {"signed": {}}}])
def test_a_file_that_is_no_export_is_refused(records: Records, damage: dict[str, object]) -> None:
    exported = {**export_chain(records), **damage}
    with pytest.raises(GiveUp, match="evidence_unreadable"):
        verify_export(exported, TRUSTED)  # type: ignore[arg-type]


@settings(deadline=None, max_examples=60)
@given(data=st.data())
def test_any_single_change_to_an_exported_chain_is_found(whole_export: dict[str, Any], data: st.DataObject) -> None:
    exported = copy.deepcopy(whole_export)
    link = data.draw(st.sampled_from(exported["links"]))
    field = data.draw(st.sampled_from(sorted(link)))
    if field == "record":
        link["record"]["attempts"] = data.draw(st.integers().filter(lambda it: it != link["record"]["attempts"]))
    elif field == "sequence":
        link["sequence"] = data.draw(st.integers(0, 9).filter(lambda it: it != link["sequence"]))
    else:
        link[field] = data.draw(st.text(max_size=80).filter(lambda it: it != link[field]))
    assert verify_export(exported, TRUSTED) != ()


@pytest.fixture(scope="module")
def whole_export(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    records = Records(tmp_path_factory.mktemp("state"), SystemClock(), SIGNER)
    records.submit(submission())
    for step in ("a", "b"):
        records.conclude_step(RunId("r1"), StepKey(step), succeeded(step))
    exported = json.loads(json.dumps(export_chain(records)))
    records.close()
    return exported  # type: ignore[no-any-return]


def test_the_signer_of_repositories_signs_heads_too(tmp_path: Path) -> None:
    from understudy.repository.signing import Signer, new_signing_key

    signer = Signer(new_signing_key())
    records = Records(tmp_path, SystemClock(), signer)
    records.submit(submission())
    records.conclude_step(RunId("r1"), StepKey("a"), succeeded())
    assert verify_export(json.loads(json.dumps(export_chain(records))), {signer.public_key}) == ()
    records.close()
