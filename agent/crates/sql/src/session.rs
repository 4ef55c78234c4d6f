//! Asks one look at a ledger.

use std::path::Path;
use std::sync::Arc;
use std::thread::available_parallelism;

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::common::DataFusionError;
use datafusion::common::config::Dialect;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::prelude::{SQLOptions, SessionConfig, SessionContext};
use tokio::runtime::Runtime;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_stream::StreamExt as _;
use watchfire_ledger::{LedgerError, Scan};
use watchfire_model::WallTime;

use crate::account::Account;
use crate::error::SqlError;
use crate::record::json_text;
use crate::statement::{ALLOWED, refused};
use crate::table::{LedgerTable, TABLES};

/// Memory of a query, unless it is said.
pub const MEMORY_BYTES_DEFAULT: usize = 256 << 20;
/// Less is enough for no query.
pub const MEMORY_BYTES_MIN: usize = 1 << 20;
/// The longest query.
pub const SQL_BYTES_MAX: usize = 16 << 10;
/// Threads that compute, where there are as many processors.
pub const THREADS_MAX: usize = 8;

/// Planning goes as deep as the query: a chain of conditions of the longest query is gone through on this.
const STACK_BYTES: usize = 128 << 20;

/// The generic one takes the column `cluster` for the beginning of a clause.
const DIALECT: Dialect = Dialect::PostgreSQL;

/// Batches that wait to be read.
const BATCHES_AHEAD: usize = 2;

/// What bounds the queries of a session.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Options {
    /// No record is older.
    pub since: Option<WallTime>,
    /// No record is newer.
    pub until: Option<WallTime>,
    /// Bytes that a query may take for what it keeps: sorted, grouped and joined rows.
    pub memory_bytes: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self { since: None, until: None, memory_bytes: MEMORY_BYTES_DEFAULT }
    }
}

/// One look at a ledger, of which any number of questions can be asked.
pub struct Session {
    runtime: Runtime,
    context: SessionContext,
    scan: Arc<Scan>,
    account: Arc<Account>,
    memory_bytes: usize,
}

impl Session {
    /// Looks at a ledger or bundle.
    pub fn open(dir: &Path, options: &Options) -> Result<Self, SqlError> {
        let scan = Arc::new(Scan::open(dir)?);
        let account = Arc::new(Account::default());
        let threads = available_parallelism().map_or(1, usize::from).min(THREADS_MAX);
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(threads)
            .thread_stack_size(STACK_BYTES)
            .build()
            .map_err(|source| LedgerError::Io {
                what: "cannot start threads for",
                path: dir.into(),
                source,
            })?;
        let memory_bytes = options.memory_bytes;
        let context =
            context(threads, memory_bytes).map_err(|error| SqlError::of_run(&error, memory_bytes))?;
        for table in &TABLES {
            let within = (options.since, options.until);
            let provider = Arc::new(LedgerTable::new(table, Arc::clone(&scan), Arc::clone(&account), within));
            let [name, of_file] = table.names;
            for name in [name].into_iter().chain((of_file != name).then_some(of_file)) {
                let registered = context.register_table(name, Arc::clone(&provider) as _);
                registered.map_err(|error| SqlError::of_run(&error, memory_bytes))?;
            }
        }
        Ok(Self { runtime, context, scan, account, memory_bytes })
    }

    /// Asks. What is wrong with the query is said now, what goes wrong with its answer while that is read.
    pub fn ask(&self, sql: &str) -> Result<Answer<'_>, SqlError> {
        if sql.len() > SQL_BYTES_MAX {
            return Err(SqlError::TooLong { bytes: sql.len(), max: SQL_BYTES_MAX });
        }
        let (context, text) = (self.context.clone(), sql.to_owned());
        let limit = self.memory_bytes;
        // On a thread of the runtime: their stacks are deep.
        let planned = self.runtime.spawn(async move {
            let state = context.state();
            let statement =
                state.sql_to_statement(&text, &DIALECT).map_err(|error| SqlError::of_query(&error, limit))?;
            if let Some(verb) = refused(&statement) {
                return Err(SqlError::Refused { verb, expected: ALLOWED });
            }
            begin(&context, statement).await.map_err(|error| SqlError::of_query(&error, limit))
        });
        let stream = self
            .runtime
            .block_on(planned)
            .map_err(|error| SqlError::Compute(format!("the query could not be planned: {error}")))??;
        let schema = stream.schema();
        let (batches, answer) = mpsc::channel(BATCHES_AHEAD);
        let task = self.runtime.spawn(compute(stream, batches));
        Ok(Answer { session: self, schema, batches: answer, task: Some(task) })
    }

    /// What was read so far.
    #[must_use]
    pub fn account(&self) -> &Account {
        &self.account
    }

    /// What of the ledger could not be read, as far as queries met it.
    #[must_use]
    pub fn unreadable(&self) -> Vec<String> {
        self.scan.unreadable()
    }

    /// Which files of the ledger are damaged, and why, as far as queries met them: what they hold is in no answer.
    #[must_use]
    pub fn damaged(&self) -> Vec<String> {
        self.scan.damaged()
    }
}

fn context(threads: usize, memory_bytes: usize) -> Result<SessionContext, DataFusionError> {
    let disk = DiskManagerBuilder::default().with_mode(DiskManagerMode::Disabled);
    let runtime = RuntimeEnvBuilder::new()
        .with_disk_manager_builder(disk)
        .with_memory_limit(memory_bytes, 1.0)
        .build_arc()?;
    let mut config = SessionConfig::new()
        .with_target_partitions(threads)
        .with_information_schema(true)
        .with_default_catalog_and_schema("watchfire", "ledger");
    config.options_mut().sql_parser.collect_spans = true;
    let context = SessionContext::new_with_config_rt(config, runtime);
    context.register_udf(json_text());
    Ok(context)
}

async fn begin(
    context: &SessionContext,
    statement: datafusion::sql::parser::Statement,
) -> Result<SendableRecordBatchStream, DataFusionError> {
    let plan = context.state().statement_to_plan(statement).await?;
    // What a statement says is looked at before; this is the engine's own look at what it means.
    let nothing = SQLOptions::new().with_allow_ddl(false).with_allow_dml(false).with_allow_statements(false);
    nothing.verify_plan(&plan)?;
    context.execute_logical_plan(plan).await?.execute_stream().await
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session").field("memory_bytes", &self.memory_bytes).finish_non_exhaustive()
    }
}

/// Computes until all is told or nobody listens.
async fn compute(
    mut stream: SendableRecordBatchStream,
    batches: mpsc::Sender<Result<RecordBatch, DataFusionError>>,
) {
    while let Some(batch) = stream.next().await {
        let is_last = batch.is_err();
        if batches.send(batch).await.is_err() || is_last {
            break;
        }
    }
}

/// An answer, in batches of rows as they are computed.
#[derive(Debug)]
pub struct Answer<'a> {
    session: &'a Session,
    schema: SchemaRef,
    batches: mpsc::Receiver<Result<RecordBatch, DataFusionError>>,
    task: Option<JoinHandle<()>>,
}

impl Answer<'_> {
    /// The columns.
    #[must_use]
    pub fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }
}

impl Iterator for Answer<'_> {
    type Item = Result<RecordBatch, SqlError>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(batch) = self.batches.blocking_recv() {
            return Some(batch.map_err(|error| SqlError::of_run(&error, self.session.memory_bytes)));
        }
        let ended = self.session.runtime.block_on(self.task.take()?);
        ended.err().map(|error| Err(SqlError::Compute(format!("the query could not be computed: {error}"))))
    }
}
