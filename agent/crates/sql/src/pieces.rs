//! Reads the rows that are wanted out of the pieces of a table.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use datafusion::arrow::array::{Array as _, BooleanArray, RecordBatch};
use datafusion::arrow::compute::filter_record_batch;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::common::{DataFusionError, Result};
use datafusion::execution::memory_pool::MemoryReservation;
use datafusion::physical_expr::expressions::Column as EngineColumn;
use datafusion::physical_expr::utils::{collect_columns, reassign_expr_columns};
use datafusion::physical_optimizer::pruning::PruningPredicate;
use datafusion::physical_plan::PhysicalExpr;
use watchfire_ledger::{Column, ColumnValues, LedgerError, LogTable, OpenPiece, Piece, Scan, SealedTable};

use crate::account::Account;
use crate::arrays::{arrays, batch, schema};
use crate::prune::Groups;

/// What is read of each piece.
#[derive(Debug)]
pub(crate) struct Wanted {
    pub(crate) scan: Arc<Scan>,
    pub(crate) account: Arc<Account>,
    pub(crate) all_columns: Vec<Column>,
    pub(crate) columns: Vec<Column>,
    /// Of the columns.
    pub(crate) schema: SchemaRef,
    pub(crate) predicate: Option<Predicate>,
    pub(crate) rows_max: usize,
}

/// What a row has to meet.
#[derive(Debug)]
pub(crate) struct Predicate {
    filter: Arc<dyn PhysicalExpr>,
    /// None where statistics can say nothing of the filter.
    pruning: Option<Arc<PruningPredicate>>,
    columns: Vec<Column>,
    schema: SchemaRef,
}

impl Predicate {
    /// A filter over all columns, which reads only those that it names.
    pub(crate) fn new(
        filter: Arc<dyn PhysicalExpr>,
        pruning: Option<Arc<PruningPredicate>>,
        all: &[Column],
        all_schema: &SchemaRef,
    ) -> Result<Self> {
        debug_assert_eq!(all.len(), all_schema.fields().len(), "a schema of these columns");
        let mut places: Vec<usize> = collect_columns(&filter).iter().map(EngineColumn::index).collect();
        places.sort_unstable();
        let columns: Vec<Column> = places.iter().map(|at| all[*at]).collect();
        let schema = schema(&columns);
        let filter = reassign_expr_columns(filter, &schema)?;
        Ok(Self { filter, pruning, columns, schema })
    }

    pub(crate) fn filter(&self) -> &Arc<dyn PhysicalExpr> {
        &self.filter
    }

    fn met(&self, values: Vec<ColumnValues>, rows: usize) -> Result<BooleanArray> {
        let batch = batch(&self.schema, arrays(&self.columns, values)?, rows)?;
        let met = self.filter.evaluate(&batch)?.into_array(rows)?;
        let met = met.as_any().downcast_ref::<BooleanArray>().cloned();
        met.ok_or_else(|| DataFusionError::Execution("a condition is neither true nor false".to_owned()))
    }
}

/// Goes through some pieces.
pub(crate) struct Reading {
    wanted: Arc<Wanted>,
    pieces: VecDeque<Piece>,
    open: Option<Open>,
    rows_left: usize,
    reservation: MemoryReservation,
}

/// What reading a group of rows gave.
enum Group {
    Read(Option<RecordBatch>),
    /// Which the scan was told.
    Damaged,
}

enum Open {
    Sealed { table: SealedTable, groups: VecDeque<usize> },
    Log(LogTable),
}

impl Reading {
    pub(crate) fn new(wanted: Arc<Wanted>, pieces: Vec<Piece>, reservation: MemoryReservation) -> Self {
        let rows_left = wanted.rows_max;
        Self { wanted, pieces: pieces.into(), open: None, rows_left, reservation }
    }

    fn read(&mut self) -> Result<Option<RecordBatch>> {
        while self.rows_left > 0 {
            let batch = match &mut self.open {
                Some(Open::Sealed { table, groups }) => match groups.pop_front() {
                    Some(group) => match self.wanted.read_group(table, group)? {
                        Group::Read(batch) => batch,
                        Group::Damaged => {
                            self.open = None;
                            continue;
                        }
                    },
                    None => {
                        self.open = None;
                        continue;
                    }
                },
                Some(Open::Log(table)) => match self.wanted.read_log(table)? {
                    Some(batch) => Some(batch),
                    None => {
                        self.open = None;
                        continue;
                    }
                },
                None => {
                    let Some(piece) = self.pieces.pop_front() else { break };
                    self.open = self.wanted.open(&piece)?;
                    continue;
                }
            };
            let Some(batch) = batch.filter(|batch| batch.num_rows() > 0) else { continue };
            let batch = batch.slice(0, batch.num_rows().min(self.rows_left));
            self.rows_left -= batch.num_rows();
            self.reservation.try_resize(batch.get_array_memory_size())?;
            return Ok(Some(batch));
        }
        self.reservation.free();
        Ok(None)
    }
}

impl Iterator for Reading {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        let read = self.read().transpose();
        if matches!(read, Some(Err(_))) {
            self.rows_left = 0;
        }
        read
    }
}

impl Wanted {
    fn open(&self, piece: &Piece) -> Result<Option<Open>> {
        let Some(piece) = self.scan.read(piece).map_err(external)? else { return Ok(None) };
        self.account.pieces_read.fetch_add(1, Relaxed);
        Ok(Some(match piece {
            OpenPiece::Log(table) => Open::Log(table),
            OpenPiece::Sealed(table) => {
                let all = table.groups();
                let pruning = self.predicate.as_ref().and_then(|predicate| predicate.pruning.as_ref());
                let groups: VecDeque<usize> = match pruning {
                    None => (0..all).collect(),
                    Some(pruning) => {
                        let may = pruning.prune(&Groups { table: &table, columns: &self.all_columns })?;
                        (0..all).filter(|group| may.get(*group).copied().unwrap_or(true)).collect()
                    }
                };
                self.account.groups_skipped.fetch_add((all - groups.len()) as u64, Relaxed);
                Open::Sealed { table, groups }
            }
        }))
    }

    /// Columns of the filter come first: where no row meets it, the others are not read.
    fn read_group(&self, table: &SealedTable, group: usize) -> Result<Group> {
        let rows = table.rows(group);
        self.account.groups_read.fetch_add(1, Relaxed);
        self.account.rows_read.fetch_add(rows as u64, Relaxed);
        let named = |error: DataFusionError| error.context(table.path().display().to_string());
        let mut met = None;
        if let Some(predicate) = &self.predicate {
            let Some(values) = self.values(table, group, &predicate.columns)? else {
                return Ok(Group::Damaged);
            };
            let array = predicate.met(values, rows).map_err(named)?;
            if array.true_count() == 0 {
                return Ok(Group::Read(None));
            }
            met = (array.true_count() < rows).then_some(array);
        }
        let Some(values) = self.values(table, group, &self.columns)? else { return Ok(Group::Damaged) };
        let batch = arrays(&self.columns, values).and_then(|arrays| batch(&self.schema, arrays, rows));
        let batch = batch.map_err(|error| named(error.into()))?;
        Ok(Group::Read(Some(match met {
            Some(met) => filter_record_batch(&batch, &met)?,
            None => batch,
        })))
    }

    /// None where they are damaged, which the scan is told.
    fn values(
        &self,
        table: &SealedTable,
        group: usize,
        columns: &[Column],
    ) -> Result<Option<Vec<ColumnValues>>> {
        match table.values(group, columns) {
            Ok(values) => Ok(Some(values)),
            Err(error) if error.is_damage() => {
                self.scan.tell_damage(&error);
                Ok(None)
            }
            Err(error) => Err(external(error)),
        }
    }

    fn read_log(&self, table: &mut LogTable) -> Result<Option<RecordBatch>> {
        let of_filter = self.predicate.as_ref().map_or(&[][..], |predicate| predicate.columns.as_slice());
        // `seq` stands in every record, and so says how many there are.
        let columns: Vec<Column> =
            [Column::Seq].into_iter().chain(of_filter.iter().chain(&self.columns).copied()).collect();
        let values = self.scan.next_of_log(table, &columns).map_err(external)?;
        let Some(mut values) = values else { return Ok(None) };
        let rows = values[0].rows();
        self.account.log_rows_read.fetch_add(rows as u64, Relaxed);
        let wanted = values.split_off(1 + of_filter.len());
        let batch = batch(&self.schema, arrays(&self.columns, wanted)?, rows)?;
        let Some(predicate) = &self.predicate else { return Ok(Some(batch)) };
        let met = predicate.met(values.split_off(1), rows)?;
        Ok(Some(filter_record_batch(&batch, &met)?))
    }
}

fn external(error: LedgerError) -> DataFusionError {
    DataFusionError::External(Box::new(error))
}
