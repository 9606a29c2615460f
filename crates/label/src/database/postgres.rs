//! PostgreSQL: a pool of connections, statements prepared once a connection.

use std::collections::HashMap;
use std::error::Error as _;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use postgres::config::SslMode;
use postgres::types::private::BytesMut;
use postgres::types::{IsNull, ToSql, Type, to_sql_checked};
use postgres::{Client, Config, IsolationLevel, NoTls, Statement};

use super::tls::{Tls, Wish};
use super::{Durability, Row, Transaction, Value, dialect, without_password};
use crate::{LabelError, Result};

/// Connections at a time; more callers wait.
const CONNECTIONS: usize = 8;

/// Names our lock among the advisory locks of the database ("helpmate" in ASCII).
const WRITE_LOCK: i64 = 0x6865_6C70_6D61_7465;

/// A database on a server.
pub struct Postgres {
    config: Config,
    tls: Option<Tls>,
    name: String,
    busy_ms: u64,
    pool: Mutex<Pool>,
    returned: Condvar,
}

#[derive(Default)]
struct Pool {
    idle: Vec<Connection>,
    lent: usize,
}

struct Connection {
    client: Client,
    statements: HashMap<String, Statement>,
}

impl Postgres {
    pub fn open(url: &str, busy_ms: u64) -> Result<Postgres> {
        let name = without_password(url);
        let wish = Wish::of(url)?;
        let tls = wish.required.then(|| Tls::open(wish.authorities.as_deref())).transpose()?;
        let mut config: Config = wish.address.parse().map_err(|error: postgres::Error| {
            LabelError::invalid("database", format!("{name}: {error}"), "postgres://USER@HOST/DATABASE")
        })?;
        config.connect_timeout(Duration::from_secs(10)).application_name("helpmate");
        config.ssl_mode(if tls.is_some() { SslMode::Require } else { SslMode::Disable });
        let postgres = Postgres { config, tls, name, busy_ms, pool: Mutex::default(), returned: Condvar::new() };
        drop(postgres.lend()?);
        Ok(postgres)
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn write<T>(&self, durability: Durability, work: impl FnOnce(&mut Transaction<'_>) -> Result<T>) -> Result<T> {
        let mut lent = self.lend()?;
        let failed = |action| failure(&self.name, action);
        let Connection { client, statements } = lent.connection.as_mut().expect("a connection is lent");
        let mut transaction = client.transaction().map_err(failed("begin to write"))?;
        let relaxed = if durability == Durability::Full { "" } else { "SET LOCAL synchronous_commit=off;" };
        transaction
            .batch_execute(&format!("{relaxed} SELECT pg_advisory_xact_lock({WRITE_LOCK});"))
            .map_err(failed("begin to write"))?;
        let mut open = Transaction::Postgres(Open { transaction, statements, name: &self.name });
        // Dropped on an error or a panic, the transaction is rolled back.
        let found = work(&mut open)?;
        let Transaction::Postgres(open) = open else { unreachable!("it was made three lines above") };
        open.transaction.commit().map_err(failed("commit"))?;
        Ok(found)
    }

    pub fn read<T>(&self, work: impl FnOnce(&mut Transaction<'_>) -> Result<T>) -> Result<T> {
        let mut lent = self.lend()?;
        let Connection { client, statements } = lent.connection.as_mut().expect("a connection is lent");
        let builder = client.build_transaction().isolation_level(IsolationLevel::RepeatableRead).read_only(true);
        let transaction = builder.start().map_err(failure(&self.name, "begin to read"))?;
        work(&mut Transaction::Postgres(Open { transaction, statements, name: &self.name }))
    }

    fn lend(&self) -> Result<Lent<'_>> {
        let mut pool = lock(&self.pool);
        while pool.idle.is_empty() && pool.lent >= CONNECTIONS {
            pool = self.returned.wait(pool).unwrap_or_else(PoisonError::into_inner);
        }
        pool.lent += 1;
        let idle = pool.idle.pop();
        drop(pool);
        // The server may have been started anew since.
        let idle = idle.filter(|connection| !connection.client.is_closed());
        let mut lent = Lent { database: self, connection: idle };
        if lent.connection.is_none() {
            lent.connection = Some(self.connect()?);
        }
        Ok(lent)
    }

    fn connect(&self) -> Result<Connection> {
        let failed = |action| failure(&self.name, action);
        let connected = match &self.tls {
            Some(tls) => self.config.connect(tls.clone()),
            None => self.config.connect(NoTls),
        };
        let mut client = connected.map_err(failed("connect"))?;
        let timeouts = format!("SET lock_timeout={0}; SET client_min_messages=warning;", self.busy_ms);
        client.batch_execute(&timeouts).map_err(failed("set up"))?;
        Ok(Connection { client, statements: HashMap::new() })
    }
}

/// A connection that goes back when it is dropped, unless it broke.
struct Lent<'a> {
    database: &'a Postgres,
    connection: Option<Connection>,
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        let mut pool = lock(&self.database.pool);
        pool.lent -= 1;
        pool.idle.extend(self.connection.take().filter(|connection| !connection.client.is_closed()));
        self.database.returned.notify_one();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What an error of PostgreSQL means to the caller.
fn failure(database: &str, action: &'static str) -> impl FnOnce(postgres::Error) -> LabelError {
    let database = database.to_owned();
    move |error| {
        // 55P03 lock not available, 40001 and 40P01 conflicts of transactions, 53100 disk full.
        match error.code().map(|state| state.code()) {
            Some("55P03" | "40001" | "40P01") => LabelError::Busy { database },
            Some("53100") => LabelError::Full { database },
            _ => {
                let cause = error.source().map(|source| format!(": {source}")).unwrap_or_default();
                LabelError::Database { database, action, message: format!("{error}{cause}") }
            }
        }
    }
}

/// An open transaction.
pub struct Open<'a> {
    transaction: postgres::Transaction<'a>,
    statements: &'a mut HashMap<String, Statement>,
    name: &'a str,
}

impl Open<'_> {
    pub fn rows(&mut self, sql: &str, parameters: &[Value]) -> Result<Vec<Row>> {
        let statement = self.prepare(sql)?;
        let rows = self.transaction.query(&statement, &references(parameters)?);
        rows.map_err(failure(self.name, "query"))?.iter().map(|row| self.row(row)).collect()
    }

    pub fn change(&mut self, sql: &str, parameters: &[Value]) -> Result<u64> {
        let statement = self.prepare(sql)?;
        self.transaction.execute(&statement, &references(parameters)?).map_err(failure(self.name, "write"))
    }

    pub fn script(&mut self, sql: &str) -> Result<()> {
        self.transaction.batch_execute(sql).map_err(failure(self.name, "change the schema"))
    }

    fn prepare(&mut self, sql: &str) -> Result<Statement> {
        if let Some(statement) = self.statements.get(sql) {
            return Ok(statement.clone());
        }
        let prepared = self.transaction.prepare(&dialect::for_postgres(sql));
        let statement = prepared.map_err(failure(self.name, "prepare"))?;
        self.statements.insert(sql.to_owned(), statement.clone());
        Ok(statement)
    }

    fn row(&self, row: &postgres::Row) -> Result<Row> {
        let columns = row.columns().iter().enumerate();
        let value = |(i, column): (usize, &postgres::Column)| {
            let found = match *column.type_() {
                Type::BOOL => row.try_get::<_, Option<bool>>(i).map(Value::from),
                Type::INT4 => row.try_get::<_, Option<i32>>(i).map(|n| Value::from(n.map(i64::from))),
                Type::INT8 => row.try_get::<_, Option<i64>>(i).map(Value::from),
                Type::FLOAT8 => row.try_get::<_, Option<f64>>(i).map(Value::from),
                _ => row.try_get::<_, Option<String>>(i).map(Value::from),
            };
            found.map_err(failure(self.name, "read"))
        };
        columns.map(value).collect::<Result<Vec<Value>>>().map(Row)
    }
}

/// What goes to the server. Its texts hold no NUL: whoever sends one (a name, a lease, a search) is told so.
fn references(parameters: &[Value]) -> Result<Vec<&(dyn ToSql + Sync)>> {
    if parameters.iter().any(|value| matches!(value, Value::Text(text) if text.contains('\0'))) {
        return Err(LabelError::invalid("text", "a NUL character", "text without one"));
    }
    Ok(parameters.iter().map(|value| value as &(dyn ToSql + Sync)).collect())
}

impl ToSql for Value {
    fn to_sql(&self, of: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        match self {
            Value::Null => Ok(IsNull::Yes),
            Value::Integer(value) => match *of {
                Type::INT4 => i32::try_from(*value)?.to_sql(of, out),
                Type::FLOAT8 => (*value as f64).to_sql(of, out),
                _ => value.to_sql(of, out),
            },
            Value::Real(value) => value.to_sql(of, out),
            Value::Text(text) => text.to_sql(of, out),
        }
    }

    fn accepts(of: &Type) -> bool {
        matches!(*of, Type::INT4 | Type::INT8 | Type::FLOAT8 | Type::TEXT | Type::VARCHAR)
    }

    to_sql_checked!();
}
