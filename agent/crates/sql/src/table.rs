//! The tables of a ledger, as the engine sees them.

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::tree_node::{TreeNode as _, TreeNodeRecursion};
use datafusion::common::{DFSchema, Result};
use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType, col};
use datafusion::physical_optimizer::pruning::PruningPredicateBuilder;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::prelude::lit;
use datafusion::scalar::ScalarValue;
use watchfire_ledger::{Column, Families, Family, Scan};
use watchfire_model::WallTime;

use crate::account::Account;
use crate::arrays::{UTC, schema};
use crate::pieces::{Predicate, Wanted};
use crate::plan::LedgerScan;
use crate::prune::Pieces;

/// A table.
#[derive(Clone, Copy, Debug)]
pub struct Table {
    /// Its names: that of the command line, and that of its files.
    pub names: [&'static str; 2],
    /// Which records it has.
    pub family: Family,
    /// What they tell of.
    pub help: &'static str,
}

/// Every table.
pub const TABLES: [Table; 6] = [
    Table {
        names: ["processes", "process"],
        family: Family::Process,
        help: "processes that started, changed their image or ended",
    },
    Table { names: ["flows", "flow"], family: Family::Flow, help: "connections" },
    Table { names: ["dns", "dns"], family: Family::Dns, help: "questions to name servers" },
    Table {
        names: ["events", "event"],
        family: Family::Event,
        help: "everything else that processes did: files, credentials, namespaces, …",
    },
    Table { names: ["findings", "finding"], family: Family::Finding, help: "what somebody has to look at" },
    Table { names: ["losses", "loss"], family: Family::Loss, help: "gaps" },
];

impl Table {
    /// Its columns, in their order.
    pub fn columns(&self) -> impl Iterator<Item = Column> {
        Column::of(Families::of(&[self.family]))
    }
}

/// A table over one look at a ledger.
#[derive(Debug)]
pub(crate) struct LedgerTable {
    scan: Arc<Scan>,
    account: Arc<Account>,
    family: Family,
    columns: Vec<Column>,
    schema: SchemaRef,
    since: Option<WallTime>,
    until: Option<WallTime>,
}

impl LedgerTable {
    pub(crate) fn new(
        table: &Table,
        scan: Arc<Scan>,
        account: Arc<Account>,
        (since, until): (Option<WallTime>, Option<WallTime>),
    ) -> Self {
        let columns: Vec<Column> = table.columns().collect();
        let schema = schema(&columns);
        Self { scan, account, family: table.family, columns, schema, since, until }
    }

    /// What a query asks of each row, and what was asked for outside of it.
    fn filter(&self, filters: &[Expr]) -> Option<Expr> {
        let time = |WallTime(ns): WallTime| lit(ScalarValue::TimestampNanosecond(Some(ns), Some(UTC.into())));
        let since = self.since.map(|since| col("time").gt_eq(time(since)));
        let until = self.until.map(|until| col("time").lt_eq(time(until)));
        conjunction(since.into_iter().chain(until).chain(filters.iter().cloned()))
    }
}

#[async_trait]
impl TableProvider for LedgerTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        filters
            .iter()
            .map(|filter| {
                Ok(if is_of_rows_alone(filter)? {
                    TableProviderFilterPushDown::Exact
                } else {
                    TableProviderFilterPushDown::Unsupported
                })
            })
            .collect()
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let mut pieces = self.scan.pieces(self.family);
        let all = pieces.len();
        let mut predicate = None;
        if let Some(filter) = self.filter(filters) {
            let filter =
                state.create_physical_expr(filter, &DFSchema::try_from(Arc::clone(&self.schema))?)?;
            let pruning = PruningPredicateBuilder::new()
                .with_file_schema(Arc::clone(&self.schema))
                .build(Arc::clone(&filter));
            if let Some(pruning) = &pruning {
                let mut may = pruning.prune(&Pieces(&pieces))?.into_iter();
                pieces.retain(|_| may.next().unwrap_or(true));
            }
            predicate = Some(Predicate::new(filter, pruning, &self.columns, &self.schema)?);
        }
        let columns: Vec<Column> = match projection {
            Some(projection) => projection.iter().map(|at| self.columns[*at]).collect(),
            None => self.columns.clone(),
        };
        let wanted = Wanted {
            scan: Arc::clone(&self.scan),
            account: Arc::clone(&self.account),
            all_columns: self.columns.clone(),
            schema: schema(&columns),
            columns,
            predicate,
            rows_max: limit.unwrap_or(usize::MAX),
        };
        let partitions = state.config().target_partitions();
        Ok(Arc::new(LedgerScan::new(self.family, wanted, pieces, all, partitions)))
    }
}

/// Whether a row alone says whether the condition is met: no other query, and nothing that changes from call to call.
fn is_of_rows_alone(filter: &Expr) -> Result<bool> {
    let mut is_alone = !filter.is_volatile();
    filter.apply(|part| {
        let is_foreign = matches!(
            part,
            Expr::ScalarSubquery(_)
                | Expr::Exists(_)
                | Expr::InSubquery(_)
                | Expr::SetComparison(_)
                | Expr::OuterReferenceColumn(..)
        );
        is_alone &= !is_foreign;
        Ok(if is_alone { TreeNodeRecursion::Continue } else { TreeNodeRecursion::Stop })
    })?;
    Ok(is_alone)
}
