"""What restore, drill and recover say at their end: from what, up to where, and what lies where now."""

import shlex
import subprocess

import psycopg

from tests.app.desk import desk
from tests.cli.commands import understudy
from tests.servers.postgres import PostgresServer

__all__ = ["desk"]


def said_of(done, what):
    assert done.returncode == 0, done.stdout + done.stderr
    return [line.partition(":")[2].strip() for line in done.stdout.splitlines() if line.startswith(f"{what}:")]


def test_each_says_which_backup_was_used_what_was_reached_and_where_the_database_is(desk):
    with PostgresServer() as server:
        desk.write(server, "heartbeat: {every: 1s}", url=server.url)
        assert understudy(desk, "backup", "orders").returncode == 0
        server.sql("create table kept as select generate_series(1, 7) n")
        backed_up = understudy(desk, "backup", "orders")
        [label] = [line.split()[2].rstrip(":") for line in backed_up.stdout.splitlines() if " backup 20" in line]

        copy = desk.directory / "copy"
        restored = understudy(desk, "restore", "orders", "--to", copy)
        [used] = said_of(restored, "from backup")
        assert used.endswith(label)
        [reached] = said_of(restored, "reached")
        assert "/" in reached.split()[0] and "on timeline 1" in reached
        assert said_of(restored, "database") == [str(copy)]
        drilled = understudy(desk, "drill", "database_corruption", "--immediate")
        assert said_of(drilled, "from backup")[0].endswith(label)
        assert said_of(drilled, "database") == [], "its sandbox is gone"

        server.stop()
        start = shlex.split(restored.stdout.splitlines()[-1])
        where = f"-p {server.port} -c listen_addresses=127.0.0.1 -k {copy}"
        subprocess.run([*start, "-w", "-o", where], check=True, stdout=subprocess.DEVNULL, timeout=120)
        try:
            with psycopg.connect(server.url) as connection:
                assert connection.execute("select count(*) from kept").fetchone() == (7,)
        finally:
            subprocess.run([*start[:-1], "stop", "-m", "immediate"], check=True, stdout=subprocess.DEVNULL, timeout=120)

        (desk.directory / "recovered").mkdir()
        (desk.directory / "recovered" / "of-old").write_text("kept")
        recovered = understudy(desk, "recover", "database_corruption", "--immediate", "--yes")
        try:
            [aside] = said_of(recovered, "set aside")
            assert subprocess.run(["cat", f"{aside}/of-old"], capture_output=True, check=True).stdout == b"kept"
            [where] = said_of(recovered, "database")
            assert said_of(recovered, "access rules") == [], "from 16 on they are no copy"
            assert where.startswith(f"{desk.directory}/recovered (") and f"port {server.port}" in where
        finally:
            again = next(line for line in recovered.stdout.splitlines() if "pg_ctl" in line)
            words = shlex.split(again)
            subprocess.run(
                [*words[: words.index("start")], "stop", "-D", str(desk.directory / "recovered")], check=True, timeout=120
            )
