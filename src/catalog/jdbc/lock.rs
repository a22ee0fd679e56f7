//! The lock of a table: a row of the database that Java takes, honours and lets expire by the same rules.
//!
//! ```text
//! take      rows of this name that are older than they said go; a row of this name is put there, or somebody has it
//! release   the row goes, if it is still the one that was put there
//! ```
//!
//! The row says how long it holds, and the database's clock tells when that is over. Whoever slept longer than that has
//! lost the lock without being told, and Java then takes away the row of whoever has it now: so a holder asks at the end
//! whether the row was still its own. Spec: `format-spec/jdbc-catalog.md`, lock.

use std::sync::Arc;
use std::time::Duration;

use super::address::Dialect;
use super::rows::Rows;
use super::settings::LockSettings;
use super::sql::{Database, Failure, Statement};
use super::tables::LOCKS;
use crate::error::{Error, Result};

/// The first pause between two looks.
const FIRST_PAUSE: Duration = Duration::from_millis(25);
/// Failures of the database in a row after which the lock is not waited for any longer.
const FAILURES: u32 = 4;

/// The locks of one catalog.
#[derive(Debug)]
pub(super) struct Locks {
    rows: Arc<Rows>,
    catalog_key: String,
    settings: LockSettings,
}

/// A lock that is held. Dropped without a release, it is released beside.
#[derive(Debug)]
pub(super) struct Held {
    database: Arc<Database>,
    id: String,
    /// When the row was put there, as the database tells it.
    stamp: String,
    /// Until when it holds at the least.
    until: Duration,
    /// Nothing is to be done when this goes.
    over: bool,
}

impl Locks {
    pub(super) fn new(rows: Arc<Rows>, catalog_key: String, settings: LockSettings) -> Self {
        Self { rows, catalog_key, settings }
    }

    /// Waits for the lock of a table, view or branch of a database.
    ///
    /// # Errors
    /// [`Error::Exhausted`] where others held it for longer than `lock-acquire-timeout`; [`Error::Invalid`] for a name
    /// that is too long; [`Error::Storage`]. A row whose fate is unknown then is left to expire.
    pub(super) async fn take(&self, database: &str, object: &str) -> Result<Held> {
        let id = format!("{}.{database}.{object}", self.catalog_key);
        let (length, most) = (id.chars().count(), self.settings.key_length);
        if length > most {
            return Err(Error::invalid(format!("the lock {id:?} has {length} characters: lock-key-max-length={most}")));
        }
        self.rows.ready().await?;
        let env = &self.rows.database.env;
        let (began, mut pause, mut failures) = (env.monotonic(), FIRST_PAUSE, 0);
        loop {
            match self.try_take(&id).await {
                Ok(Some(held)) => return Ok(held),
                Ok(None) => failures = 0,
                Err(Failure::Certain(error @ Error::Invalid(_))) => return Err(error),
                Err(failure) if failures + 1 >= FAILURES => return Err(failure.into()),
                Err(_) => failures += 1,
            }
            if env.monotonic().saturating_sub(began) > self.settings.timeout {
                return Err(self.timed_out(&id).await);
            }
            pause = (pause * 2).min(self.settings.max_sleep);
            env.sleep(pause + pause.mul_f64((env.random_u64() % 1000) as f64 / 5000.0)).await;
        }
    }

    async fn try_take(&self, id: &str) -> Result<Option<Held>, Failure> {
        let database = &self.rows.database;
        database.execute(&clear(database, id)).await?;
        let before = database.env.monotonic();
        let seconds = self.settings.timeout.as_secs();
        let row = match database.returning(&insert(database, id, seconds as i64)).await {
            Ok(rows) if database.dialect == Dialect::MySql => {
                drop(rows);
                database.returning(&stamp(database, id)).await?
            }
            Ok(rows) => rows,
            Err(Failure::Duplicate(_)) => return Ok(None),
            Err(failure) => return Err(failure),
        };
        let stamp = row.into_iter().next().and_then(|row| row.into_iter().next()).flatten();
        Ok(stamp.map(|stamp| Held {
            database: Arc::clone(database),
            id: id.to_string(),
            stamp,
            until: before + Duration::from_secs(seconds),
            over: false,
        }))
    }

    async fn timed_out(&self, id: &str) -> Error {
        let database = &self.rows.database;
        let since = database.column(&stamp(database, id)).await.ok().and_then(|stamps| stamps.into_iter().next());
        let since = since.map(|stamp| format!(", since {stamp} by the database's clock")).unwrap_or_default();
        let timeout = self.settings.timeout;
        Error::exhausted(format!("lock-acquire-timeout: others hold the lock {id:?} for {timeout:?}{since}"))
    }
}

impl Held {
    /// Whether nobody else can have taken the lock because this one got too old.
    pub(super) fn holds(&self) -> bool {
        self.database.env.monotonic() < self.until
    }

    /// Gives the lock back; answers whether it was held to this moment.
    pub(super) async fn release(mut self) -> bool {
        self.over = true;
        if !self.holds() {
            // Whoever wants it clears it.
            return false;
        }
        match self.database.execute(&remove(&self.database, &self.id, &self.stamp)).await {
            Ok(rows) => rows > 0,
            Err(failure) => {
                let error = Error::from(failure);
                tracing::warn!(lock = %self.id, %error, "a lock is left to expire");
                true
            }
        }
    }

    /// Lets the row stand until it expires, unless it is released by name.
    #[must_use]
    pub(super) fn kept(mut self) -> Self {
        self.over = true;
        self
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if self.over || !self.holds() {
            return;
        }
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        let (database, statement) = (Arc::clone(&self.database), remove(&self.database, &self.id, &self.stamp));
        runtime.spawn(async move { database.execute(&statement).await.map(drop) });
    }
}

/// The row's age in seconds, as the database tells it. Java's driver gives PostgreSQL the zone of its own clock, and the
/// column has no zone: so the times in it are those of a clock on the wall.
fn clear(database: &Database, id: &str) -> Statement {
    let age = match database.dialect {
        Dialect::Postgres => "EXTRACT(EPOCH FROM (NOW() AT TIME ZONE 'UTC' + ? * INTERVAL '1 second' - acquired_at))",
        Dialect::MySql => "TIMESTAMPDIFF(SECOND, acquired_at, NOW())",
        Dialect::Sqlite => "strftime('%s', 'now') - strftime('%s', acquired_at)",
    };
    let statement = Statement::new(format!("DELETE FROM {LOCKS} WHERE {age} > expire_time_seconds AND lock_id = ?"));
    match database.dialect {
        Dialect::Postgres => statement.number(wall_offset(database)).text(id),
        Dialect::MySql | Dialect::Sqlite => statement.text(id),
    }
}

fn insert(database: &Database, id: &str, seconds: i64) -> Statement {
    let columns = "lock_id, expire_time_seconds";
    match database.dialect {
        Dialect::Postgres => Statement::new(format!(
            "INSERT INTO {LOCKS} ({columns}, acquired_at) VALUES (?, ?, NOW() AT TIME ZONE 'UTC' + ? * INTERVAL '1 second') \
             ON CONFLICT DO NOTHING RETURNING CAST(acquired_at AS TEXT)"
        ))
        .text(id)
        .number(seconds)
        .number(wall_offset(database)),
        Dialect::MySql => {
            Statement::new(format!("INSERT INTO {LOCKS} ({columns}) VALUES (?, ?)")).text(id).number(seconds)
        }
        Dialect::Sqlite => Statement::new(format!(
            "INSERT INTO {LOCKS} ({columns}) VALUES (?, ?) ON CONFLICT DO NOTHING RETURNING CAST(acquired_at AS TEXT)"
        ))
        .text(id)
        .number(seconds),
    }
}

fn stamp(database: &Database, id: &str) -> Statement {
    Statement::new(format!("SELECT {} FROM {LOCKS} WHERE lock_id = ?", stamp_text(database.dialect))).text(id)
}

fn remove(database: &Database, id: &str, stamp: &str) -> Statement {
    let text = stamp_text(database.dialect);
    Statement::new(format!("DELETE FROM {LOCKS} WHERE lock_id = ? AND {text} = ?")).text(id).text(stamp)
}

fn stamp_text(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Postgres | Dialect::Sqlite => "CAST(acquired_at AS TEXT)",
        Dialect::MySql => "CAST(acquired_at AS CHAR)",
    }
}

/// Seconds by which the clock on the wall is before UTC.
fn wall_offset(database: &Database) -> i64 {
    (database.env.local_millis() - database.env.now_millis()).div_euclid(1000)
}
