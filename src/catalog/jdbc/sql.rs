//! Statements to the database, and what its answers mean.
//!
//! All values are bound, none is written into a statement. What the database says is scrubbed of the password before it
//! becomes an error of ours.

use std::fmt;
use std::time::Duration;

use sqlx::{AssertSqlSafe, Connection, MySqlPool, PgPool, Row, SqlitePool};
use tokio::sync::OnceCell;

use super::address::Dialect;
use super::connect::{CONNECT, Connect};
use super::settings::Settings;
use crate::env::Env;
use crate::error::{Error, Result};
use crate::io::Secrets;

/// Tries of a question that changes nothing.
const TRIES: u32 = 3;
/// SQLSTATEs and numbers that say that the caller is wrong: not allowed, no such database, a value too long.
const WRONG: [&str; 8] = ["28000", "28P01", "3D000", "42501", "42000", "22001", "1045", "1049"];

/// Connections to one kind of database.
pub(super) enum Pool {
    Postgres(PgPool),
    MySql(MySqlPool),
    Sqlite(SqlitePool),
}

/// A value of a statement.
#[derive(Debug, Clone)]
enum Arg {
    Text(String),
    Number(i64),
}

/// A statement with question marks, and the values behind them.
#[derive(Debug, Clone)]
pub(super) struct Statement {
    sql: String,
    args: Vec<Arg>,
}

impl Statement {
    pub(super) fn new(sql: impl Into<String>) -> Self {
        Self { sql: sql.into(), args: Vec::new() }
    }

    pub(super) fn text(mut self, value: &str) -> Self {
        self.args.push(Arg::Text(value.to_string()));
        self
    }

    pub(super) fn texts<'a>(self, values: impl IntoIterator<Item = &'a str>) -> Self {
        values.into_iter().fold(self, Self::text)
    }

    pub(super) fn number(mut self, value: i64) -> Self {
        self.args.push(Arg::Number(value));
        self
    }

    /// As the database numbers its values.
    fn sql_for(&self, dialect: Dialect) -> String {
        if dialect != Dialect::Postgres {
            return self.sql.clone();
        }
        let mut parts = self.sql.split('?');
        let first = parts.next().unwrap_or_default().to_string();
        parts.enumerate().fold(first, |sql, (at, part)| format!("{sql}${}{part}", at + 1))
    }
}

/// Why a statement did nothing, or may have done something.
#[derive(Debug)]
pub(super) enum Failure {
    /// A row with this key is there.
    Duplicate(String),
    /// The database has decided, or was never reached.
    Certain(Error),
    /// The database may have done what it was told.
    Doubt(String),
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Duplicate(words) => Self::AlreadyExists(words),
            Failure::Certain(error) => error,
            Failure::Doubt(words) => Self::storage(format!("{words}; it may have been done")),
        }
    }
}

/// Does the same for each kind of database: `$db` is the kind and `$pool` its pool.
macro_rules! each {
    ($pools:expr, $db:ident, $pool:ident => $body:expr) => {
        match $pools {
            Pool::Postgres($pool) => {
                type $db = sqlx::Postgres;
                $body
            }
            Pool::MySql($pool) => {
                type $db = sqlx::MySql;
                $body
            }
            Pool::Sqlite($pool) => {
                type $db = sqlx::Sqlite;
                $body
            }
        }
    };
}

/// A query of `$db` with its values.
macro_rules! query {
    ($db:ident, $statement:expr, $dialect:expr) => {{
        let sql = AssertSqlSafe($statement.sql_for($dialect));
        $statement.args.iter().fold(sqlx::query::<$db>(sql), |query, arg| match arg {
            Arg::Text(text) => query.bind(text.clone()),
            Arg::Number(number) => query.bind(*number),
        })
    }};
}

/// A database.
pub(super) struct Database {
    connect: Connect,
    connections: u32,
    pool: OnceCell<Pool>,
    pub(super) dialect: Dialect,
    /// Its address for people.
    pub(super) shown: String,
    secrets: Secrets,
    pub(super) env: Env,
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

impl Database {
    /// No request is made.
    ///
    /// # Errors
    /// As [`Connect::of`].
    pub(super) fn open(settings: &Settings, env: &Env) -> Result<Self> {
        Ok(Self {
            connect: Connect::of(settings)?,
            connections: settings.connections,
            pool: OnceCell::new(),
            dialect: settings.address.dialect,
            shown: settings.address.shown(),
            secrets: Secrets::gather(settings.password.iter(), &["PG", "MYSQL"]),
            env: env.clone(),
        })
    }

    async fn pool(&self) -> &Pool {
        self.pool.get_or_init(|| async { self.connect.pool(self.connections) }).await
    }

    /// Tells the database to change something; answers how many rows it changed.
    pub(super) async fn execute(&self, statement: &Statement) -> Result<u64, Failure> {
        each!(self.pool().await, Db, pool => {
            let mut connection = pool.acquire().await.map_err(|error| self.unreached(&error))?;
            let done = query!(Db, statement, self.dialect).execute(&mut *connection).await;
            done.map(|done| done.rows_affected()).map_err(|error| self.failure(&error))
        })
    }

    /// Does all of them or none; answers how many rows each changed.
    pub(super) async fn together(&self, statements: &[Statement]) -> Result<Vec<u64>, Failure> {
        let mut counts = Vec::with_capacity(statements.len());
        let done: Result<(), sqlx::Error> = each!(self.pool().await, Db, pool => {
            let mut connection = pool.acquire().await.map_err(|error| self.unreached(&error))?;
            async {
                let mut transaction = connection.begin().await?;
                for statement in statements {
                    let done = query!(Db, statement, self.dialect).execute(&mut *transaction).await?;
                    counts.push(done.rows_affected());
                }
                transaction.commit().await
            }
            .await
        });
        done.map(|()| counts).map_err(|error| self.failure(&error))
    }

    /// Tells the database to change something and to answer with rows of texts.
    pub(super) async fn returning(&self, statement: &Statement) -> Result<Vec<Vec<Option<String>>>, Failure> {
        let rows = each!(self.pool().await, Db, pool => {
            let mut connection = pool.acquire().await.map_err(|error| self.unreached(&error))?;
            let rows = query!(Db, statement, self.dialect).fetch_all(&mut *connection).await;
            rows.and_then(|rows| {
                let texts = |row: &<Db as sqlx::Database>::Row| (0..row.len()).map(|at| row.try_get(at)).collect();
                rows.iter().map(texts).collect::<Result<Vec<Vec<Option<String>>>, sqlx::Error>>()
            })
        });
        rows.map_err(|error| self.failure(&error))
    }

    /// Asks for rows of texts, again where the connection broke.
    ///
    /// # Errors
    /// [`Error::Invalid`] for what the database does not allow, [`Error::Storage`].
    pub(super) async fn rows(&self, statement: &Statement) -> Result<Vec<Vec<Option<String>>>> {
        let mut round = 0;
        loop {
            match self.returning(statement).await {
                Ok(rows) => return Ok(rows),
                Err(Failure::Doubt(_)) if round + 1 < TRIES => {}
                Err(Failure::Doubt(words)) => return Err(Error::storage(words)),
                Err(failure) => return Err(failure.into()),
            }
            self.env.sleep(Duration::from_millis(50) * 4_u32.pow(round)).await;
            round += 1;
        }
    }

    /// The first column of rows.
    pub(super) async fn column(&self, statement: &Statement) -> Result<Vec<String>> {
        Ok(self.rows(statement).await?.into_iter().filter_map(|row| row.into_iter().next().flatten()).collect())
    }

    /// What was not connected was not asked.
    fn unreached(&self, error: &sqlx::Error) -> Failure {
        match self.failure(error) {
            Failure::Doubt(words) | Failure::Duplicate(words) => Failure::Certain(Error::storage(words)),
            failure => failure,
        }
    }

    fn failure(&self, error: &sqlx::Error) -> Failure {
        let said = |words: String| format!("{}: {}", self.shown, self.secrets.scrub(&words));
        match error {
            sqlx::Error::Database(told) if told.is_unique_violation() => Failure::Duplicate(said(told.to_string())),
            sqlx::Error::Database(told) => {
                let wrong = told.code().is_some_and(|code| WRONG.contains(&&*code));
                Failure::Certain(match wrong {
                    true => Error::invalid(said(told.to_string())),
                    false => Error::storage(said(told.to_string())),
                })
            }
            sqlx::Error::PoolTimedOut => {
                Failure::Certain(Error::storage(said(format!("no connection within {CONNECT:?}"))))
            }
            sqlx::Error::Tls(_) | sqlx::Error::Configuration(_) | sqlx::Error::InvalidArgument(_) => {
                Failure::Certain(Error::invalid(said(error.to_string())))
            }
            sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) | sqlx::Error::Encode(_) => {
                Failure::Certain(Error::corrupt(&self.shown, self.secrets.scrub(&error.to_string())))
            }
            _ => Failure::Doubt(said(error.to_string())),
        }
    }
}
