"""The demo as a user runs it: a program with a last word, whose printed commands work when they are typed."""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from understudy.demo.ledger import read_ledger
from understudy.demo.story import Demo
from understudy.vocabulary.wal import Lsn

INTERRUPTED = 130
SEGMENT_BYTES = 16 * 2**20
WHOLE = ["-m", "understudy"]


def smaller(*left_out: str) -> list[str]:
    """The same with a tenth of the rows, where it is not the rows that matter, and without some acts."""
    acts = "".join(f"story.Demo.{act} = lambda *_: None; " for act in left_out)
    return [
        "-c",
        "import sys, understudy; from understudy.demo import story; from understudy.cli.main import main; "
        f"sys.argv[0] = understudy.__path__[0] + '/__main__.py'; story.SCALE = 1; {acts}main()",
    ]


@pytest.fixture
def environment(tmp_path):
    return {**os.environ, "XDG_STATE_HOME": str(tmp_path / "state"), "PYTHONUNBUFFERED": "1"}


def begin(environment, *arguments: str, stdout: int = subprocess.PIPE, size: list[str] = WHOLE) -> subprocess.Popen:
    """In a session of its own, as in a terminal."""
    return subprocess.Popen(
        [sys.executable, *size, "demo", *arguments],
        stdin=subprocess.DEVNULL, stdout=stdout, stderr=subprocess.PIPE, text=True, env=environment, start_new_session=True,
    )  # fmt: skip


def play(environment, *arguments: str, size: list[str] = WHOLE) -> tuple[int, str, str]:
    """Exit code, standard output, standard error; nothing but what was kept is left."""
    with begin(environment, *arguments, size=size) as demo:
        out, err = demo.communicate()
    if "--keep" not in arguments:
        assert homes(demo) == []
    return demo.returncode, out, err


def typed(command: str, environment) -> subprocess.CompletedProcess:
    return subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=120, check=False, env=environment)


def homes(demo: subprocess.Popen) -> list[Path]:
    return list(Path("/tmp").glob(f"understudy-demo-{demo.pid}-*"))


def processes_naming(home: Path) -> list[str]:
    """Also by the directory that they work in, as a server's processes do."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            works_in = str((entry / "cwd").readlink())
        except OSError:
            continue
        if str(home) in command or works_in.startswith(str(home)):
            found.append(command)
    return found


def figure(name: str, text: str) -> str:
    """What stands behind this name in a table that was printed."""
    found = re.search(rf"^  {re.escape(name)} +(\S+)", text, re.MULTILINE)
    assert found, text
    return found.group(1)


@pytest.mark.timeout(300)
def test_a_destroyed_database_comes_back_with_every_acknowledged_commit_and_so_does_all_that_was_lost_at_once(
    environment, tmp_path
):
    code, out, err = play(environment, "--json")
    assert code == 0, err
    said = json.loads(out)
    assert said["acknowledged"] > 6_000
    assert said["recovered"] == said["acknowledged"]
    assert (said["lost"], said["lost_work_seconds"]) == (0, 0)
    assert said["prices_back"] == said["prices_live"] == 1000
    assert said["objective_met"] is True
    assert said["server_processes_killed"] > 8
    assert said["exposure_seconds_seen"] > 0
    everything = said["everything"]
    assert 0 < everything["adopted_seconds"] < everything["recovery_time_seconds"]
    assert set(everything["compared"]) == {"rows", "files", "objects"}
    for kind, compared in everything["compared"].items():
        assert compared["acknowledged"] - compared["recovered"] == compared["lost"], kind
        assert 0 <= compared["lost_work_seconds"] <= everything["lost_work_objective_seconds"], kind
    assert everything["compared"]["rows"]["recovered"] > said["acknowledged"], "those of the first act, and more"
    for kind in ("files", "objects"):
        assert everything["compared"][kind]["recovered"] >= 220, "what the newest snapshot held"

    evidence, of_everything = map(Path, said["evidence"])
    assert evidence.is_relative_to(tmp_path)
    exported = json.loads(evidence.read_text())
    assert exported["run"]["state"] == "succeeded"
    proofs = proofs_of(exported)
    full, incremental = proofs["shop/restore-base-backup"]["labels"]
    assert full.endswith("F") and incremental.startswith(f"{full}_")
    replayed = Lsn.parse(proofs["shop/replay-wal"]["replayed_lsn"])
    assert replayed.position % SEGMENT_BYTES > 0, "the tail of a segment that was never finished"
    assert proofs["shop/copy-backup-to-far"]["label"] == proofs["shop/write-backup-manifest"]["label"]
    assert proofs_of(json.loads(of_everything.read_text())).keys() >= {
        "shop/replay-wal", "documents/release-target", "images/release-target",
    }  # fmt: skip
    assert [Path(page).stem for page in said["pages"]] == ["1-database-corruption", "2-data-loss", "3-complete-failure"]
    assert {Path(page).parent for page in said["pages"]} == {evidence.parent}
    assert exported["run"]["run"] in Path(said["pages"][0]).read_text()
    for command in said["next"]:
        verified = typed(command, environment)
        assert verified.returncode == 0, verified.stdout + verified.stderr
        assert "all as they were signed" in verified.stdout
    evidence.write_text(evidence.read_text().replace('"succeeded"', '"failed"'))
    assert typed(said["next"][0], environment).returncode == 1


def proofs_of(exported: dict) -> dict:
    return {step["step"]: step["evidence"]["proof"] for step in exported["steps"] if step["state"] == "succeeded"}


@pytest.mark.timeout(500)
def test_the_asynchronous_demo_tells_its_real_loss_and_what_is_kept_of_it_is_a_healthy_stack(environment):
    """One that was adopted: its third act has been played."""
    code, out, err = play(environment, "--asynchronous", "--keep", size=smaller())
    assert code == 0, out + err
    home = Path(re.search(r"^kept: +(\S+):", out, re.MULTILINE).group(1))
    join = f". {home}/environment && "
    try:
        acknowledged = len(read_ledger(home / "ledger"))
        recovered, lost = (int(figure(name, out).replace(",", "")) for name in ("recovered", "lost"))
        assert figure("acknowledged", out).replace(",", "") == str(acknowledged)
        assert acknowledged - recovered == lost
        seconds = float(figure("work lost, by the oldest of them", out))
        assert 0 <= seconds < 60
        assert "objective 60.0 s: met" in out

        checked = typed(f"{join}understudy check --json", environment)
        assert checked.returncode == 0, checked.stdout
        held = json.loads(typed(f"{join}understudy backups --json", environment).stdout)["usable"]
        labels = {name: [each["backup"]["label"] for each in held if each["repository"] == name] for name in ("near", "far")}
        assert len(labels["far"]) == 4, "full, incremental, and those of two recoveries"
        assert labels["near"] == [max(labels["far"])], "the old host's near repository was lost with it"
        odd = [each for each in json.loads(checked.stdout)["findings"] if each["grade"] != "ok"]
        assert odd == []
        for command in ("status", "backup shop", "drill database_corruption", "evidence verify"):
            answered = typed(f"{join}understudy {command}", environment)
            assert answered.returncode == 0, f"{command}: {answered.stdout}{answered.stderr}"
        following = re.search(r"^next: +(.+)$", out, re.MULTILINE).group(1)
        assert typed(following, environment).returncode == 0
    finally:
        ended = typed(re.search(r"^end it: +(.+)$", out, re.MULTILINE).group(1), environment)
    assert ended.returncode == 0, ended.stderr
    assert not home.exists()
    assert processes_naming(home) == []


def test_make_demo_prints_nothing_of_its_own_where_its_output_is_piped():
    root, venv = Path(__file__).parents[2], Path(sys.prefix)
    command = ["make", "--no-print-directory", "-C", str(root), f"VENV={venv}", f"--assume-old={venv}/.installed", "demo"]
    done = subprocess.run([*command, "ARGS=--help"], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("Usage: understudy demo")


def test_signals_are_handled_afterwards_as_before_and_one_that_is_ignored_stays_so():
    kept = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
        with Demo(synchronous=True, tell=print):
            assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
            assert signal.getsignal(signal.SIGTERM) != before[1]
        assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, kept)


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("said", "number"), [("filling them", signal.SIGINT), ("what it says to type: understudy recover", signal.SIGTERM)]
)
def test_an_interrupted_demo_leaves_no_process_and_no_directory(environment, said, number):
    with begin(environment, stdout=subprocess.DEVNULL, size=smaller("first_act", "second_act")) as demo:
        lines, home = [], None
        for line in demo.stderr:
            lines.append(line)
            if said in line:
                [home] = homes(demo)
                os.killpg(demo.pid, number)  # as a terminal does
        assert demo.wait() == INTERRUPTED, lines
    assert home is not None, lines
    assert homes(demo) == []
    assert processes_naming(home) == []
