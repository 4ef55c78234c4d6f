//! Reading a table, as a step of the engine's plan.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use datafusion::common::Result;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::execution::memory_pool::MemoryConsumer;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::EquivalenceProperties;
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType, ReplaceChildrenOptions};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PhysicalExpr, PlanProperties,
};
use watchfire_ledger::{Family, Piece};

use crate::pieces::{Reading, Wanted};

#[derive(Debug)]
pub(crate) struct LedgerScan {
    family: Family,
    wanted: Arc<Wanted>,
    partitions: Vec<Vec<Piece>>,
    pieces: usize,
    all_pieces: usize,
    properties: Arc<PlanProperties>,
}

impl LedgerScan {
    /// Reads some pieces out of so many, with so many threads at most.
    pub(crate) fn new(
        family: Family,
        wanted: Wanted,
        pieces: Vec<Piece>,
        all_pieces: usize,
        threads: usize,
    ) -> Self {
        wanted.account.pieces_skipped.fetch_add((all_pieces - pieces.len()) as u64, Relaxed);
        let count = pieces.len();
        let mut partitions = vec![Vec::new(); threads.min(count).max(1)];
        let at = partitions.len();
        for (number, piece) in pieces.into_iter().enumerate() {
            partitions[number % at].push(piece);
        }
        let properties = PlanProperties::new(
            EquivalenceProperties::new(Arc::clone(&wanted.schema)),
            Partitioning::UnknownPartitioning(partitions.len()),
            EmissionType::Incremental,
            Boundedness::Bounded,
        );
        let (wanted, properties) = (Arc::new(wanted), Arc::new(properties));
        Self { family, wanted, partitions, pieces: count, all_pieces, properties }
    }
}

impl DisplayAs for LedgerScan {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LedgerScan: table={}, pieces={} of {}", self.family, self.pieces, self.all_pieces)?;
        if let Some(predicate) = &self.wanted.predicate {
            write!(f, ", filter={}", predicate.filter())?;
        }
        if self.wanted.rows_max < usize::MAX {
            write!(f, ", limit={}", self.wanted.rows_max)?;
        }
        Ok(())
    }
}

impl ExecutionPlan for LedgerScan {
    fn name(&self) -> &'static str {
        "LedgerScan"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        Vec::new()
    }

    fn apply_expressions(
        &self,
        visit: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        match &self.wanted.predicate {
            Some(predicate) => visit(predicate.filter()),
            None => Ok(TreeNodeRecursion::Continue),
        }
    }

    fn replace_children(
        self: Arc<Self>,
        _: Vec<Arc<dyn ExecutionPlan>>,
        _: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn with_new_children(self: Arc<Self>, _: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let pieces = self.partitions.get(partition).cloned().unwrap_or_default();
        let reservation = MemoryConsumer::new("rows of the ledger").register(context.memory_pool());
        let reading = Reading::new(Arc::clone(&self.wanted), pieces, reservation);
        let stream = tokio_stream::iter(reading);
        Ok(Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&self.wanted.schema), stream)))
    }
}
