"""`citybrain copy`: moves an installation, running or not, from its SQLite file to an empty PostgreSQL.

First everything as it is at one moment, compared row by row; then, again and again, what has changed since; in the end
the last of it while nobody writes. From then on the old store takes nothing, so that nothing acknowledged stays behind.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from time import monotonic

from sqlalchemy import Connection, Table, delete, func, select, text
from sqlalchemy.engine import make_url

from citybrain.clock import now_ms
from citybrain.commands import changes
from citybrain.commands.check import check_store
from citybrain.commands.walk import as_lines, begins, chunks, content, digests, plain_tables
from citybrain.config import Config, database_url
from citybrain.store.bulk import insert_rows
from citybrain.store.database import Store
from citybrain.store.ids import new_id
from citybrain.store.migrate import migrate
from citybrain.store.partitions import make_partitions

ROWS_TOLD = 100_000
FEW = 2_000  # changes that are copied while senders wait
ROUNDS = 20  # then they wait for whatever is left

Say = Callable[[str], None]


class CopyRefused(Exception):
    """Nothing was copied, and why."""


class CopyDiffers(Exception):
    """The new database is not what the old one is."""


def copy(config: Config, to: str, say: Say) -> None:
    """Returns when all is there and the old store is closed; raises CopyRefused, CopyDiffers or StoreUnavailable, and
    the old installation goes on as if nothing had been. Called again, it goes on where it was interrupted."""
    old_url = config.database_url if _is_sqlite(config.database_url) else database_url(None, config.data)
    new_url = database_url(to, config.data)
    if _is_sqlite(new_url):
        raise CopyRefused("--to names the PostgreSQL to move to: postgresql://user@host/database")
    if not (path := make_url(old_url).database) or not config.data.joinpath(path).exists():
        raise CopyRefused(f"there is no installation to move: {path} does not exist")
    migrate(old_url)
    migrate(new_url)
    move = Move(Store(old_url, patient=True), Store(new_url, patient=True), make_url(to).render_as_string(), say)
    try:
        move.run(replace(config, database_url=new_url))
    finally:
        move.old.close()
        move.new.close()


def give_up(config: Config) -> None:
    """Changes are not noted any more: an interrupted copy must begin anew, in an empty database."""
    old = Store(database_url(None, config.data))
    with old.write() as tx:
        changes.forget(tx, plain_tables())
    old.close()


@dataclass
class Move:
    old: Store
    new: Store
    to: str
    say: Say

    def run(self, config: Config) -> None:
        tables = plain_tables()
        if not self._goes_on():
            self._copy_all(tables)
        done = self._catch_up(tables, 0)
        lines, good = check_store(config)  # of a moment that has been; what comes after is compared row by row
        for line in lines:
            self.say(line)
        if not good:
            raise CopyDiffers("the record does not keep its promises: go on with SQLite and say what stands above")
        self._end(tables, self._catch_up(tables, done))
        self.say(f"all is there. Start with CITYBRAIN_DATABASE_URL={self.to}; the SQLite file takes nothing any more")

    def _goes_on(self) -> bool:
        """Whether an earlier copy to the same database was interrupted after its first part."""
        with self.old.read() as tx, self.new.read() as target:
            token = changes.begun(tx)
            there = target.execute(text(f"SELECT to_regclass('{changes.TARGET}')")).scalar()
            same = token and there and changes.token_in(target) == token
        if same:
            self.say("going on where an earlier copy was interrupted")
        return bool(same)

    def _copy_all(self, tables: Sequence[Table]) -> None:
        """As it is at one moment, in one transaction: whatever stops it leaves the new database empty, and the old
        one as it was."""
        with self.new.read() as target:
            for table in tables:
                if target.execute(select(table).limit(1)).first() is not None:
                    raise CopyRefused(f"the database to move to is not empty: there are rows in {table.name}")
        token = new_id()
        with self.old.write() as tx:
            changes.begin(tx, tables, token)
        try:
            with self.old.read() as source, self.new.write() as target:
                make_partitions(target, begins(source), now_ms())
                for table in tables:
                    self._copy_table(source, target, table)
                target.execute(text(f"CREATE TABLE {changes.TARGET} AS SELECT '{token}' AS token"))
                self._compare(source, target, tables)
        except BaseException:
            with self.old.write() as tx:
                changes.forget(tx, tables)
            raise
        with self.new.write() as target:
            target.execute(text("ANALYZE"))  # plans by what is there now

    def _copy_table(self, source: Connection, target: Connection, table: Table) -> None:
        copied = 0
        for rows in chunks(source, table):
            insert_rows(target, table, rows)
            if copied // ROWS_TOLD != (copied + len(rows)) // ROWS_TOLD:
                self.say(f"{table.name}: {copied + len(rows)} rows so far")
            copied += len(rows)
        self.say(f"{table.name}: {copied} rows copied")

    def _compare(self, source: Connection, target: Connection, tables: Sequence[Table]) -> None:
        differing = []
        for table in tables:
            here, there = content(source, table), content(target, table)
            equal = (here.rows, here.digest) == (there.rows, there.digest)
            differs = f"BUT THERE {there.rows} rows, {there.digest[:16]}"
            self.say(f"{table.name}: {here.rows} rows, {here.digest[:16]}, {'the same' if equal else differs}")
            differing += [] if equal else [table.name]
        if differing:
            raise CopyDiffers(f"not the same in both: {', '.join(differing)}. Nothing was kept; go on with SQLite")

    def _catch_up(self, tables: Sequence[Table], done: int) -> int:
        """Until few changes are left. Returns up to which all are in the new database."""
        for _ in range(ROUNDS):
            with self.old.read() as source:
                until = changes.last(source)
                if until - done > 0:
                    self._bring(source, tables, done, until)
            if until - done < FEW:
                return until
            done = until
        return done

    def _bring(self, source: Connection, tables: Sequence[Table], after: int, until: int) -> None:
        """One moment of the old record becomes one of the new, and is compared. In any order, since references are
        looked at in the end."""
        begun, number = monotonic(), 0
        with self.new.write() as target:
            for reference in (deferrable := _references(target)):
                target.execute(text(f"{reference} DEFERRABLE"))
            target.execute(text("SET CONSTRAINTS ALL DEFERRED"))
            for clear in (True, False):  # what a row gives up another may take: all go before any comes
                for table in tables:
                    for keys, rows in changes.changed(source, table, after, until):
                        where = changes.with_keys(table, keys)
                        if clear:
                            target.execute(delete(table).where(where))
                            continue
                        insert_rows(target, table, rows)
                        number += len(rows)
                        written = [dict(row) for row in target.execute(select(table).where(where)).mappings()]
                        if digests(as_lines(written)) != digests(as_lines(rows)):
                            raise CopyDiffers(f"what changed in {table.name} is not the same in both")
            target.execute(text("SET CONSTRAINTS ALL IMMEDIATE"))
            for reference in deferrable:
                target.execute(text(f"{reference} NOT DEFERRABLE"))
        self.say(f"{number} rows that had changed meanwhile, in {monotonic() - begun:.1f} s")

    def _end(self, tables: Sequence[Table], done: int) -> None:
        """The only moment in which senders wait. The new database is complete before the old one is closed: between
        the two, nobody knows of the new one yet, and this can be done again."""
        with self.old.write() as source:
            begun = monotonic()
            self._bring(source, tables, done, changes.last(source))
            with self.new.write() as target:
                for table in tables:
                    count = select(func.count()).select_from(table)
                    if (here := source.execute(count).scalar()) != (there := target.execute(count).scalar()):
                        raise CopyDiffers(f"{table.name} has {here} rows here and {there} there")
            changes.close(source, tables, self.to)
        with self.new.write() as target:
            target.execute(text(f"DROP TABLE {changes.TARGET}"))
        self.say(f"nobody could write for {monotonic() - begun:.1f} s")


def _references(target: Connection) -> Sequence[str]:
    """The beginning of a statement for each."""
    found = target.execute(
        text(
            "SELECT format('ALTER TABLE %s ALTER CONSTRAINT %I', conrelid::regclass, conname) FROM pg_constraint "
            "WHERE contype = 'f' AND conparentid = 0 AND connamespace = current_schema()::regnamespace"
        )
    )
    return found.scalars().all()


def _is_sqlite(url: str) -> bool:
    return make_url(url).get_backend_name() == "sqlite"
