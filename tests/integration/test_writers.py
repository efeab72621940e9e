"""SQLite's writers take turns, in one process and between processes; one that does not end keeps nobody waiting for
longer than they would, and one that dies keeps nobody waiting at all."""

import fcntl
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from sqlalchemy import text

from citybrain.store.database import Store
from citybrain.store.writers import Writers

HOLD = "import sys, time; from pathlib import Path; from citybrain.store.writers import Writers\n"
HOLD += "with Writers(Path(sys.argv[1])).turn(5): print('mine', flush=True); sys.stdin.readline()"


@pytest.fixture
def other(tmp_path: Path) -> subprocess.Popen[str]:
    """A process in the middle of its turn."""
    argv = [sys.executable, "-c", HOLD, str(tmp_path / "turns.db")]
    process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "mine\n"
    return process


def test_a_turn_ends_with_the_process_that_had_it(tmp_path: Path, other: subprocess.Popen[str]) -> None:
    writers = Writers(tmp_path / "turns.db")
    with pytest.raises(TimeoutError, match="another process"), writers.turn(0.05):
        pass
    other.kill()
    with writers.turn(60):
        pass
    assert other.wait() != 0


def test_who_waited_in_vain_leaves_the_turn_to_others(tmp_path: Path, other: subprocess.Popen[str]) -> None:
    impatient, patient = Writers(tmp_path / "turns.db"), Writers(tmp_path / "turns.db")
    with pytest.raises(TimeoutError), impatient.turn(0.05):
        pass
    other.communicate("end\n")
    with patient.turn(60):
        pass
    with impatient.turn(60):
        pass


def is_held(file: Path) -> bool:
    """Whether somebody stands first in line."""
    with file.open() as opened:
        try:
            fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        return False


def test_threads_write_one_after_the_other(tmp_path: Path) -> None:
    store = Store(f"sqlite:///{tmp_path / 'turns.db'}")
    with store.write() as tx:
        tx.execute(text("CREATE TABLE t (n INTEGER)"))
        tx.execute(text("INSERT INTO t VALUES (0)"))

    def add() -> None:
        for _ in range(20):
            with store.write() as tx:
                n = tx.execute(text("SELECT n FROM t")).scalar_one()
                tx.execute(text("UPDATE t SET n = :n"), {"n": n + 1})

    threads = [threading.Thread(target=add) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with store.read() as tx:
        assert tx.execute(text("SELECT n FROM t")).scalar() == 80
    store.close()
