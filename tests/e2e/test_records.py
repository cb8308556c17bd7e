"""One record per call, whatever becomes of the database, the disk and the process."""
import os
import sqlite3
import subprocess

import pytest

from kit import net
from kit.calls import established, hang_up


def one_call(pair):
    near, far = established(pair)
    hang_up(near, far)


def rows(path):
    with sqlite3.connect(path, timeout=5) as db:
        return db.execute("SELECT end_reason, state FROM calls ORDER BY id").fetchall()


def seen(daemon):
    """How many records the API knows; None as long as there is no database."""
    answer = daemon.api.request("GET", "/v1/cdrs")
    return len(answer.json["items"]) if answer.status == 200 else None


def test_kill_while_the_database_is_locked_loses_no_record(house, pair):
    daemon = house()
    one_call(pair)
    daemon.wait_cdrs(1)
    locker = sqlite3.connect(daemon.db_path, isolation_level=None)
    locker.execute("BEGIN EXCLUSIVE")
    for _ in range(3):
        one_call(pair)
    pending = daemon.db_path + ".pending"
    net.until(lambda: os.path.exists(pending) and sum(1 for line in open(pending, "rb") if line.startswith(b"call\t")) == 3, 15,
              "what waits is not written beside the database")
    daemon.kill()
    locker.execute("ROLLBACK")
    locker.close()
    daemon.start()
    assert [r["end_code"] for r in daemon.wait_cdrs(4)] == [200] * 4
    assert not os.path.exists(pending)


def test_database_that_is_moved_away_is_followed_by_a_new_one(house, pair):
    daemon = house()
    one_call(pair)
    daemon.wait_cdrs(1)
    moved = daemon.db_path + ".1"
    os.rename(daemon.db_path, moved)
    near, far = established(pair)
    hang_up(near, far)
    net.until(lambda: seen(daemon) == 1, 5, "the new file is not read")
    assert daemon.logged("was moved or removed") and daemon.api.ready()[0]
    os.unlink(daemon.db_path)
    net.until(lambda: daemon.api.ready()[0], 10, "without a call there is no new file")
    one_call(pair)
    one_call(pair)
    net.until(lambda: seen(daemon) == 2, 5, "the new file is not read")
    assert len(rows(moved)) == 1
    house.check_end = False  # the log has errors, as it should
    assert daemon.stop() == 0
    assert [state for _, state in rows(daemon.db_path)] == [3, 3]


def test_start_on_a_full_disk_ends_the_calls_of_the_last_run(house, pair, tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "none", str(disk)], check=False).returncode != 0:
        pytest.skip("no tmpfs can be mounted here")
    try:
        house.check_end = False
        daemon = house(store={"path": str(disk / "postern.db")})
        one_call(pair)
        established(pair)
        daemon.wait_cdrs(1)
        daemon.live()
        daemon.kill()
        with open(disk / "filler", "wb", buffering=0) as f:
            try:
                while f.write(b"x" * 4096):
                    pass
            except OSError:
                pass
        daemon.start()
        records = daemon.wait_cdrs(2)
        assert sorted(r["end_reason"] == "crash" for r in records) == [False, True]
        (disk / "filler").unlink()
        assert daemon.stop() == 0
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=False)
