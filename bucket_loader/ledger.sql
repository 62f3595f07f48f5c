-- The ledger: what was planned, what was sent, what came of it. No row data, no key, no password.
-- A chunk is inserted when it is about to be sent ("intent"): a row in that state after a crash may have been applied.

CREATE TABLE meta (
    name  TEXT PRIMARY KEY,
    value TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE run (
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
    retries        INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;

CREATE TABLE stream (
    run        TEXT NOT NULL REFERENCES run,
    position   INTEGER NOT NULL,
    name       TEXT NOT NULL,
    records    INTEGER NOT NULL,                     -- to be sent
    read       INTEGER NOT NULL,
    rejected   INTEGER NOT NULL,                     -- by planning
    filtered   INTEGER NOT NULL,
    superseded INTEGER NOT NULL,
    unchanged  INTEGER NOT NULL,
    mapping    TEXT NOT NULL,
    settled    INTEGER NOT NULL DEFAULT 0,           -- its memory is up to date
    PRIMARY KEY (run, position)
) WITHOUT ROWID;

-- One row for each request that was, or is about to be, made; never deleted while its run is unfinished.
CREATE TABLE chunk (
    run       TEXT NOT NULL,
    stream    INTEGER NOT NULL,
    first     INTEGER NOT NULL,                      -- the least sequence
    members   TEXT NOT NULL,                         -- all of them: '0-99', '0-16,18-99'
    records   INTEGER NOT NULL,
    part      INTEGER NOT NULL,                      -- 0: a chunk of the plan; 1: made by splitting another
    state     TEXT NOT NULL CHECK (state IN
                ('queued', 'intent', 'delivered', 'rejected', 'split', 'held', 'dropped')),
    attempts  INTEGER NOT NULL DEFAULT 0,
    ambiguous INTEGER NOT NULL DEFAULT 0,            -- attempts whose answer never came, or was a 5xx
    digest    BLOB NOT NULL,                         -- sha256 of the body
    status    INTEGER,
    PRIMARY KEY (run, stream, first, members),
    FOREIGN KEY (run, stream) REFERENCES stream (run, position)
) WITHOUT ROWID;

-- What a stream remembers of earlier runs: parts in their order. The files lie beside the ledger.
CREATE TABLE memory (
    stream  TEXT NOT NULL,
    number  INTEGER NOT NULL,
    file    TEXT NOT NULL,
    rows    INTEGER NOT NULL,
    run     TEXT NOT NULL,
    PRIMARY KEY (stream, number)
) WITHOUT ROWID;
