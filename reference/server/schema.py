"""The tables, as one list of migrations that every server applies in order when it starts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reference.wire.errors import ProtocolError

if TYPE_CHECKING:
    from .database import Connection

MIGRATION_LOCK = 0x6D757365_01

# Hot tables name their repository without a foreign key: a push of 1,000 commits would pay for
# 2,000 lookups of one row.  The push locks that row instead, and deleting it deletes theirs.
# A blob has one row for each pack that it lies in, with one index: which repository has it follows
# from the packs that this accepted, and which rows a pack has, from the ids it keeps.
#
# Commits of a repository are numbered as they arrive, parents first; `since` is the number of the
# last one that was there before.  So what is new to somebody is read from the end.
MIGRATIONS = (
    """
    CREATE TABLE settings (name text PRIMARY KEY, value bytea NOT NULL);
    CREATE TABLE identities (
        identity_id bytea PRIMARY KEY,
        handle text COLLATE "C" NOT NULL UNIQUE,
        public_key text NOT NULL,
        created_at timestamptz NOT NULL DEFAULT now()
    );
    CREATE TABLE repos (
        repo_id bytea PRIMARY KEY,
        owner text COLLATE "C" NOT NULL,
        slug text COLLATE "C" NOT NULL,
        name text NOT NULL,
        visibility text NOT NULL CHECK (visibility IN ('public', 'private')),
        default_branch text NOT NULL DEFAULT 'main',
        created_at timestamptz NOT NULL,
        UNIQUE (owner, slug)
    );
    CREATE TABLE branches (
        branch_id bytea PRIMARY KEY,
        repo_id bytea NOT NULL REFERENCES repos ON DELETE CASCADE,
        name text COLLATE "C" NOT NULL,
        head_commit_id bytea NOT NULL,
        updated_at timestamptz NOT NULL DEFAULT now(),
        UNIQUE (repo_id, name)
    );
    CREATE TABLE commits (
        repo_id bytea NOT NULL,
        commit_id bytea NOT NULL,
        snapshot_id bytea NOT NULL,
        parent_commit_id bytea,
        parent2_commit_id bytea,
        record bytea NOT NULL,
        position bigint NOT NULL,
        storage_uri text CHECK (storage_uri IS NULL),
        PRIMARY KEY (repo_id, commit_id),
        UNIQUE (repo_id, position)
    );
    CREATE TABLE snapshots (
        snapshot_id bytea PRIMARY KEY,
        parent_snapshot_id bytea,
        delta bytea STORAGE EXTERNAL NOT NULL,
        directories text[],
        storage_uri text CHECK (storage_uri IS NULL)
    );
    CREATE TABLE snapshot_refs (
        repo_id bytea NOT NULL,
        snapshot_id bytea NOT NULL,
        since bigint NOT NULL,
        PRIMARY KEY (repo_id, snapshot_id)
    );
    CREATE TABLE manifests (snapshot_id bytea PRIMARY KEY, payload bytea STORAGE EXTERNAL NOT NULL);
    CREATE TABLE mpacks (
        mpack_id bytea PRIMARY KEY,
        size_bytes bigint NOT NULL,
        form text NOT NULL,
        blob_ids bytea[] STORAGE EXTERNAL NOT NULL,
        created_at timestamptz NOT NULL DEFAULT now()
    );
    CREATE TABLE mpack_refs (
        repo_id bytea NOT NULL,
        mpack_id bytea NOT NULL,
        since bigint NOT NULL,
        PRIMARY KEY (repo_id, mpack_id)
    );
    CREATE INDEX ON mpack_refs (mpack_id);
    CREATE TABLE mpack_index (
        blob_id bytea NOT NULL,
        mpack_id bytea NOT NULL,
        frame_offset bigint NOT NULL,
        frame_length bigint NOT NULL,
        frame_blobs integer NOT NULL,
        stored boolean NOT NULL,
        "offset" bigint NOT NULL,
        length bigint NOT NULL,
        PRIMARY KEY (blob_id, mpack_id)
    );
    CREATE VIEW object_refs AS
        SELECT repo_id, blob_id, min(since) AS since
        FROM mpack_refs JOIN mpack_index USING (mpack_id) GROUP BY repo_id, blob_id;
    CREATE TABLE fetch_mpack_cache (
        cache_id bytea PRIMARY KEY,
        repo_id bytea NOT NULL REFERENCES repos ON DELETE CASCADE,
        tip_commit_id bytea NOT NULL,
        form text NOT NULL,
        mpack_id bytea NOT NULL,
        commit_count integer NOT NULL,
        blob_count integer NOT NULL,
        created_at timestamptz NOT NULL DEFAULT now(),
        expires_at timestamptz NOT NULL DEFAULT now() + interval '7 days',
        UNIQUE (repo_id, tip_commit_id, form)
    );
    CREATE INDEX ON fetch_mpack_cache (mpack_id);
    CREATE TABLE jobs (
        job_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        type text NOT NULL,
        payload json NOT NULL,
        priority integer NOT NULL DEFAULT 0,
        state text NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'done', 'dead')),
        attempts integer NOT NULL DEFAULT 0,
        run_after timestamptz NOT NULL DEFAULT now(),
        created_at timestamptz NOT NULL DEFAULT now(),
        finished_at timestamptz,
        error text
    );
    CREATE INDEX ON jobs (priority DESC, job_id) WHERE state = 'waiting';
    """,
)


async def migrate(db: Connection) -> None:
    """Brings the database to this version; of several servers starting at once, one does it."""
    async with db.transaction():
        await db.execute("SELECT pg_advisory_xact_lock($1)", MIGRATION_LOCK)
        await db.execute(
            "CREATE TABLE IF NOT EXISTS migrations"
            " (version integer PRIMARY KEY, applied_at timestamptz NOT NULL DEFAULT now())"
        )
        done = {row["version"] for row in await db.fetch("SELECT version FROM migrations")}
        if max(done, default=0) > len(MIGRATIONS):
            why = "the database was made by another version of the kit: use that, or fresh data"
            raise ProtocolError("invalid", why)
        for version, statements in enumerate(MIGRATIONS, start=1):
            if version not in done:
                await db.execute(statements)
                await db.execute("INSERT INTO migrations (version) VALUES ($1)", version)


async def secret(db: Connection, name: str, fresh: bytes) -> bytes:
    """The value kept under `name`; the first server to ask decides it for all of them."""
    await db.execute("INSERT INTO settings VALUES ($1, $2) ON CONFLICT DO NOTHING", name, fresh)
    value: bytes = await db.fetchval("SELECT value FROM settings WHERE name = $1", name)
    return value
