-- The ledger: what was planned, what was sent, what came of it. No row data, no key, no password.
-- An older schema is brought up to date by running this again for new tables; new columns are added in `database.py`.
-- PostgreSQL takes the same text, with its own names for the types (`postgres.py`).
-- A chunk is inserted when it is about to be sent ("intent"): a row in that state after a crash may have been applied.

CREATE TABLE IF NOT EXISTS meta (
    name  TEXT PRIMARY KEY,
    value TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS run (
    run            TEXT PRIMARY KEY,
    number         INTEGER NOT NULL UNIQUE,          -- the order in which runs were made
    status         TEXT NOT NULL CHECK (status IN
                     ('running', 'succeeded', 'rejected', 'unfinished', 'stopped', 'failed', 'abandoned')),
    as_of          TEXT NOT NULL,
    interval_start TEXT,
    interval_end   TEXT,
    plan_digest    TEXT NOT NULL,
    created_at     TEXT NOT NULL,
    ended_at       TEXT,
    exit_code      INTEGER,
    requests       INTEGER NOT NULL DEFAULT 0,
    retries        INTEGER NOT NULL DEFAULT 0,
    aged           INTEGER NOT NULL DEFAULT 0        -- 1: its old files were let go of, and its chunks are folded;
                                                     -- 2: so they were, but its dead letters stay
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS run_of_status ON run (status, number);
CREATE INDEX IF NOT EXISTS run_of_age ON run (aged, number);

CREATE TABLE IF NOT EXISTS stream (
    run        TEXT NOT NULL REFERENCES run,
    position   INTEGER NOT NULL,
    name       TEXT NOT NULL,
    records    INTEGER NOT NULL,                     -- to be sent
    /* first counts */                               -- of planning: `model/counts.py` lists them
    mapping    TEXT NOT NULL,
    settled    INTEGER NOT NULL DEFAULT 0,           -- its memory is up to date
    /* later counts */
    sent       TEXT,                                 -- digest of what was delivered, once settled
    answers    TEXT,                                 -- attempts by their answer, as JSON, once its chunks are folded
    PRIMARY KEY (run, position)
) WITHOUT ROWID;

-- One row for each request that was, or is about to be, made. Those of an old run are folded: one row stands for all of
-- a stream that came to the same end (`folding.py`).
CREATE TABLE IF NOT EXISTS chunk (
    run       TEXT NOT NULL,
    stream    INTEGER NOT NULL,
    first     INTEGER NOT NULL,                      -- the least sequence
    members   TEXT NOT NULL,                         -- all of them: '0-99', '0-16,18-99'
    records   INTEGER NOT NULL,
    part      INTEGER NOT NULL,                      -- 0: a chunk of the plan; 1: made by splitting another
    state     TEXT NOT NULL CHECK (state IN
                ('queued', 'intent', 'delivered', 'rejected', 'split', 'held', 'dropped',
                 'superseded')),                     -- by a newer row of its key, in a later run
    attempts  INTEGER NOT NULL DEFAULT 0,
    ambiguous INTEGER NOT NULL DEFAULT 0,            -- attempts whose answer never came, or was a 5xx
    digest    BLOB NOT NULL,                         -- sha256 of the body
    status    INTEGER,
    aside     TEXT,                                  -- since when, queued, it comes after all others (wire time)
    folded    INTEGER,                               -- how many chunks it stands for; null for one that is itself
    tries     TEXT NOT NULL DEFAULT '',              -- its attempts: `model/attempts.py`
    PRIMARY KEY (run, stream, first, members),
    FOREIGN KEY (run, stream) REFERENCES stream (run, position)
) WITHOUT ROWID;

-- Which dead letters a run took up again, so that none is taken up twice.
CREATE TABLE IF NOT EXISTS replay (
    letters  TEXT NOT NULL,                          -- the run that wrote them
    stream   TEXT NOT NULL,
    number   TEXT NOT NULL,                          -- the last part of the letter's id
    run      TEXT NOT NULL REFERENCES run,           -- the run that sends it again
    sequence INTEGER,                                -- its record there; null when it made none
    PRIMARY KEY (letters, stream, number)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS replay_of_run ON replay (run, stream, sequence);

-- What a stream remembers of earlier runs: parts in their order. The files lie in the state's folder or store.
CREATE TABLE IF NOT EXISTS memory (
    stream  TEXT NOT NULL,
    number  INTEGER NOT NULL,
    file    TEXT NOT NULL,
    rows    INTEGER NOT NULL,
    run     TEXT NOT NULL,
    digest  TEXT,                                    -- sha256 of the file
    PRIMARY KEY (stream, number)
) WITHOUT ROWID;

-- What the API has refused of a stream: a file each, written anew.
CREATE TABLE IF NOT EXISTS refused (
    stream  TEXT PRIMARY KEY,
    file    TEXT NOT NULL,
    rows    INTEGER NOT NULL,
    run     TEXT NOT NULL,
    digest  TEXT                                     -- sha256 of the file
) WITHOUT ROWID;

-- Up to where a stream has read its source; moved when its plan is settled and nothing of it is left unsent.
CREATE TABLE IF NOT EXISTS cursor (
    stream  TEXT PRIMARY KEY,
    mark    TEXT NOT NULL,
    run     TEXT NOT NULL
) WITHOUT ROWID;

-- Which files a stream has loaded (`new_files:`); noted as its high-water mark is.
CREATE TABLE IF NOT EXISTS loaded_file (
    stream  TEXT NOT NULL,
    name    TEXT NOT NULL,
    bytes   INTEGER NOT NULL,
    digest  TEXT NOT NULL,
    run     TEXT NOT NULL,
    PRIMARY KEY (stream, name, bytes, digest)
) WITHOUT ROWID;

-- Who sends a run that several processes send (`sharing.py`). These three are empty where none is sent so: what ends a
-- run removes them. Times are milliseconds of the server's clock alone.
CREATE TABLE IF NOT EXISTS part (
    run      TEXT NOT NULL REFERENCES run,
    stream   INTEGER NOT NULL,
    number   INTEGER NOT NULL,                       -- its place in the stream, from 0
    first    INTEGER NOT NULL,                       -- the least sequence
    records  INTEGER NOT NULL,
    alone    INTEGER NOT NULL,                       -- 1: after all parts before it, since they may share ids
    sender   TEXT,                                   -- who took it last
    taken    INTEGER,
    ended    INTEGER,                                -- nothing of it is to be sent but what is held or set aside
    PRIMARY KEY (run, stream, number)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS sender (
    sender   TEXT PRIMARY KEY,
    run      TEXT NOT NULL,
    host     TEXT NOT NULL,                          -- these two are for people
    pid      INTEGER NOT NULL,
    epoch    INTEGER NOT NULL,                       -- of the state's owner when it came
    backend  INTEGER NOT NULL,                       -- the server's process that serves it
    token    TEXT NOT NULL,                          -- of its last transaction
    joined   INTEGER NOT NULL,
    heard    INTEGER NOT NULL,                       -- its last transaction
    share    DOUBLE PRECISION NOT NULL DEFAULT 0,    -- requests a second that it may make, where they are limited
    ended    INTEGER,                                -- it commits nothing more: it went, or was given up
    rate     DOUBLE PRECISION                        -- requests a second for all together, as it was told
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS flag (
    run      TEXT NOT NULL REFERENCES run,
    kind     TEXT NOT NULL,                          -- of what ends the run for all who send
    sender   TEXT NOT NULL,                          -- who met it
    message  TEXT NOT NULL,
    hint     TEXT NOT NULL,
    PRIMARY KEY (run, kind)
) WITHOUT ROWID;
