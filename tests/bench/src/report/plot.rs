//! A plot of one workload: a line for each subject, its median with the interval.

use std::path::Path;

use anyhow::{Result, anyhow};
use plotters::prelude::{
    BLACK, BLUE, ChartBuilder, Circle, Color as _, DiscreteRanged as _, ErrorBar, IntoDrawingArea as _,
    IntoSegmentedCoord as _, PathElement, SVGBackend, SegmentValue, WHITE,
};

use crate::cell::Cell;
use crate::profile::Unit;

const WIDTH: u32 = 720;
const HEIGHT_OF_SUBJECT: u32 = 44;
const HEIGHT_OF_REST: u32 = 110;

/// Writes it as SVG.
pub(super) fn write(path: &Path, cells: &[Cell]) -> Result<()> {
    draw(path, cells).map_err(|error| anyhow!("draw {}: {error}", path.display()))
}

fn draw(path: &Path, cells: &[Cell]) -> Result<(), Box<dyn std::error::Error>> {
    let height = HEIGHT_OF_REST + HEIGHT_OF_SUBJECT * u32::try_from(cells.len())?;
    let area = SVGBackend::new(path, (WIDTH, height)).into_drawing_area();
    area.fill(&WHITE)?;
    let low = cells.iter().map(|cell| cell.summary.low).fold(1.0, f64::min);
    let high = cells.iter().map(|cell| cell.summary.high).fold(1.0, f64::max);
    let margin = (high - low).max(0.01) * 0.08;
    let rows = (0..cells.len()).into_segmented();
    let count = rows.size();
    let what = match cells[0].unit {
        Unit::Nanosecond => "time",
        Unit::Instruction => "instructions",
    };
    let title = format!("{}: {what} beside a subject over {what} alone", cells[0].workload.operation());
    let mut chart = ChartBuilder::on(&area)
        .caption(title, ("sans-serif", 16))
        .margin(12)
        .x_label_area_size(32)
        .y_label_area_size(120)
        .build_cartesian_2d(low - margin..high + margin, rows)?;
    let name = |value: &SegmentValue<usize>| match value {
        SegmentValue::CenterOf(row) => {
            cells.get(*row).map_or_else(String::new, |cell| cell.subject.name().to_owned())
        }
        SegmentValue::Exact(_) | SegmentValue::Last => String::new(),
    };
    chart
        .configure_mesh()
        .y_labels(count)
        .y_label_formatter(&name)
        .x_desc("×, median and 95 % interval")
        .draw()?;
    chart.draw_series([PathElement::new(
        vec![(1.0, SegmentValue::Exact(0)), (1.0, SegmentValue::Last)],
        BLACK.mix(0.5),
    )])?;
    chart.draw_series(cells.iter().enumerate().map(|(row, cell)| {
        let summary = cell.summary;
        let at = SegmentValue::CenterOf(row);
        ErrorBar::new_horizontal(at, summary.low, summary.median, summary.high, BLUE.filled(), 10)
    }))?;
    chart.draw_series(cells.iter().enumerate().flat_map(|(row, cell)| {
        cell.ratios
            .iter()
            .map(move |ratio| Circle::new((*ratio, SegmentValue::CenterOf(row)), 2, BLUE.mix(0.35)))
    }))?;
    area.present()?;
    Ok(())
}
