//! The bench's pictures, as SVG.

mod exposure;

pub use exposure::exposure;

use super::growth::GrowthRow;
use super::limits::Limits;
use anyhow::{Result, anyhow, ensure};
use plotters::coord::Shift;
use plotters::coord::combinators::IntoLogRange;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

const SIZE: (u32, u32) = (900, 600);
/// Of the picture of growth, which has three rows of panels.
const TALL: (u32, u32) = (900, 900);
const FONT: &str = "sans-serif";
const INK: RGBColor = RGBColor(40, 40, 40);
const GRID: RGBColor = RGBColor(225, 225, 225);
const ROOF: RGBColor = RGBColor(90, 90, 90);
/// Okabe and Ito's colours, which the colour-blind can tell apart.
const COLOURS: [RGBColor; 4] =
    [RGBColor(0, 114, 178), RGBColor(213, 94, 0), RGBColor(0, 158, 115), RGBColor(204, 121, 167)];
const KIB: f64 = 1024.0;
/// Room between the shapes and the edge of the picture, as a factor.
const ROOM: f64 = 1.6;

/// Height of a line of the key of shapes, as a fraction of the picture's.
const KEY_LINE: f64 = 0.029;

/// Rate that times real time refer to in the picture, Hz.
const RATE: f64 = 16_000.0;

/// Times real time against bytes of weights, the machine's roofline above.
///
/// # Errors
/// No rows, or a drawing that failed.
pub fn limits(limits: &Limits) -> Result<String> {
    ensure!(!limits.rows.is_empty(), "there is no shape to draw");
    let mut svg = String::new();
    draw_limits(limits, &SVGBackend::with_string(&mut svg, SIZE).into_drawing_area())?;
    Ok(svg)
}

fn draw_limits(limits: &Limits, area: &DrawingArea<SVGBackend, Shift>) -> Result<()> {
    let times = |ns: f64| 1e9 / (ns * RATE);
    let rows = &limits.rows;
    let span = |values: &mut dyn Iterator<Item = f64>| {
        values.fold((f64::MAX, f64::MIN), |(low, high), v| (low.min(v), high.max(v)))
    };
    let (x0, x1) = span(&mut rows.iter().map(|r| r.weight_bytes as f64));
    let bounds = rows.iter().flat_map(|r| [times(r.ns_per_symbol), times(r.bound.bound_ns)]);
    let (y0, y1) = span(&mut bounds.chain([1.0]));
    let (x0, x1, y0, y1) = (x0 / ROOM / ROOM, x1 * ROOM * ROOM, y0 / ROOM / ROOM, y1 * ROOM * ROOM);
    area.fill(&WHITE).map_err(drawing)?;
    let machine = &limits.machine;
    let title = format!("{}, one core, {}", machine.cpu, machine.isa);
    let mut chart = ChartBuilder::on(area)
        .caption(title, (FONT, 17).into_font().color(&INK))
        .margin(14)
        .x_label_area_size(44)
        .y_label_area_size(60)
        .build_cartesian_2d((x0..x1).log_scale().base(2.0), (y0..y1).log_scale())
        .map_err(drawing)?;
    chart
        .configure_mesh()
        .light_line_style(WHITE)
        .bold_line_style(GRID)
        .x_desc("weights, bytes")
        .y_desc("times real time at 16 kHz")
        .x_label_formatter(&|b| bytes(*b))
        .y_label_formatter(&|y| format!("{y}"))
        .label_style((FONT, 14).into_font().color(&INK))
        .draw()
        .map_err(drawing)?;
    let note = |at: (f64, f64), words: String, colour: RGBColor, pos: Pos| {
        Text::new(words, at, (FONT, 13).into_font().color(&colour).pos(pos))
    };
    for level in &machine.levels {
        if let Some(size) = level.bytes.map(|b| b as f64).filter(|b| (x0..x1).contains(b)) {
            chart
                .draw_series(LineSeries::new([(size, y0), (size, y1)], GRID.stroke_width(2)))
                .map_err(drawing)?;
            let words = format!("{} {}", level.name, bytes(size));
            let at = (size * 1.02, y0 * 1.03);
            chart
                .draw_series([note(at, words, ROOF, Pos::new(HPos::Left, VPos::Bottom))])
                .map_err(drawing)?;
        }
    }
    chart.draw_series(LineSeries::new([(x0, 1.0), (x1, 1.0)], INK.stroke_width(1))).map_err(drawing)?;
    let at = (x0 * 1.03, 1.0);
    chart
        .draw_series([note(at, "real time".into(), INK, Pos::new(HPos::Left, VPos::Bottom))])
        .map_err(drawing)?;
    // Above the roof that the reads make lies, per type, the roof that the multiply-adds make.
    let reads = limits.read_rates.iter().map(|(b, rate)| (*b as f64, rate / (*b as f64 * RATE)));
    let reads: Vec<_> = reads.filter(|(x, y)| (x0..x1).contains(x) && (y0..y1).contains(y)).collect();
    if let Some(at) = reads.get(reads.len() / 2) {
        let words = "bound: reading the weights".to_owned();
        chart
            .draw_series([note((at.0 * 1.06, at.1), words, ROOF, Pos::new(HPos::Left, VPos::Bottom))])
            .map_err(drawing)?;
    }
    chart.draw_series(LineSeries::new(reads, ROOF.stroke_width(2))).map_err(drawing)?;
    let mut dtypes: Vec<&str> = rows.iter().map(|r| r.dtype.as_str()).collect();
    dtypes.dedup();
    // A key of numbers: names would cover each other where shapes are of nearly one size.
    let mut shapes: Vec<&str> = Vec::new();
    for row in rows {
        if !shapes.contains(&row.shape.as_str()) {
            shapes.push(&row.shape);
        }
    }
    let line = (y1 / y0).powf(KEY_LINE);
    for (i, shape) in shapes.iter().enumerate() {
        let fractions = rows.iter().filter(|r| r.shape == *shape);
        let fractions: Vec<_> =
            fractions.map(|r| format!("{} {:.0} %", r.dtype, 100.0 * r.fraction)).collect();
        let words = format!("{}  {shape}: {}", i + 1, fractions.join(", "));
        let at = (x0 * 1.06, y0 * line.powf((shapes.len() - i) as f64));
        chart.draw_series([note(at, words, INK, Pos::new(HPos::Left, VPos::Top))]).map_err(drawing)?;
    }
    for (dtype, colour) in dtypes.iter().zip(COLOURS.iter().cycle()) {
        let mut of: Vec<_> = rows.iter().filter(|r| r.dtype == *dtype).collect();
        of.sort_by_key(|r| r.weight_bytes);
        let points = of.iter().map(|r| (r.weight_bytes as f64, times(r.ns_per_symbol)));
        chart
            .draw_series(points.clone().map(|p| Circle::new(p, 8, colour.filled())))
            .map_err(drawing)?
            .label(*dtype)
            .legend(|(x, y)| Circle::new((x + 8, y), 4, colour.filled()));
        for (row, at) in of.iter().zip(points) {
            let number =
                shapes.iter().position(|s| *s == row.shape).map_or(String::new(), |i| format!("{}", i + 1));
            chart
                .draw_series([note(at, number, WHITE, Pos::new(HPos::Center, VPos::Center))])
                .map_err(drawing)?;
        }
        if let Some(largest) = of.last() {
            // Multiply-adds per byte are the same for all shapes of a type, up to padding and biases.
            let per_byte = largest.bound.compute_ns / largest.weight_bytes as f64;
            let line = |x: f64| (x, times(x * per_byte));
            let line: Vec<_> = [x0, x1].map(line).into();
            let inside = clip(line[0], line[1], y0, y1);
            chart
                .draw_series(DashedLineSeries::new(inside, 6, 4, colour.stroke_width(2)))
                .map_err(drawing)?
                .label(format!("bound: multiply-adds, {dtype}"))
                .legend(|(x, y)| PathElement::new([(x, y), (x + 18, y)], colour.stroke_width(2)));
        }
    }
    legend(&mut chart, SeriesLabelPosition::UpperRight)?;
    area.present().map_err(drawing)
}

/// The part of a falling line between two points on log axes that lies within y0 … y1.
fn clip(a: (f64, f64), b: (f64, f64), y0: f64, y1: f64) -> Vec<(f64, f64)> {
    let slope = (b.1 / a.1).ln() / (b.0 / a.0).ln();
    let at = |y: f64| (a.0 * ((y / a.1).ln() / slope).exp(), y);
    [if a.1 > y1 { at(y1) } else { a }, if b.1 < y0 { at(y0) } else { b }].into()
}

/// Time per sample against each size that was varied.
///
/// # Errors
/// A drawing that failed.
pub fn growth(rows: &[GrowthRow]) -> Result<String> {
    let mut svg = String::new();
    draw_growth(rows, &SVGBackend::with_string(&mut svg, TALL).into_drawing_area())?;
    Ok(svg)
}

/// The varied size, its label, whether the axis is logarithmic, the unit of the values, and the values.
type Panel = (&'static str, &'static str, bool, &'static str, fn(&GrowthRow) -> f64);

/// The values of most panels.
const COST: &str = "µs per sample";

fn draw_growth(rows: &[GrowthRow], area: &DrawingArea<SVGBackend, Shift>) -> Result<()> {
    area.fill(&WHITE).map_err(drawing)?;
    let cost = |r: &GrowthRow| r.ns_per_symbol / 1e3;
    let rate = |r: &GrowthRow| 1e6 / r.ns_per_symbol;
    let panels: [Panel; 6] = [
        ("layers", "layers", false, COST, cost),
        ("channels", "residual and gate channels", false, COST, cost),
        ("dilation", "largest dilation, 20 layers", true, COST, cost),
        ("length", "seconds of sound since the start", true, COST, cost),
        ("streams", "streams in lockstep", false, COST, cost),
        ("streams", "streams in lockstep", false, "thousand samples/s, all streams", rate),
    ];
    for (panel, (vary, words, log, unit, value)) in area.split_evenly((3, 2)).iter().zip(panels) {
        let points: Vec<_> = rows.iter().filter(|r| r.vary == vary).map(|r| (r.value, value(r))).collect();
        let Some(last) = points.last().map(|p| p.0) else { continue };
        let highest = points.iter().fold(0.0, |h: f64, p| h.max(p.1));
        // Doubling sizes stand on a logarithmic axis.
        let place = |v: f64| if log { v.log2() } else { v };
        let label =
            |v: &f64| if log { format!("{}", (v.exp2() * 100.0).round() / 100.0) } else { format!("{v}") };
        let first = if log { place(points[0].0) - 0.3 } else { 0.0 };
        let end = if log { place(last) + 0.3 } else { last * 1.05 };
        let mut chart = ChartBuilder::on(panel)
            .margin(14)
            .x_label_area_size(40)
            .y_label_area_size(56)
            .build_cartesian_2d(first..end, 0.0..highest * 1.15)
            .map_err(drawing)?;
        chart
            .configure_mesh()
            .light_line_style(WHITE)
            .bold_line_style(GRID)
            .x_labels(8)
            .y_labels(6)
            .x_desc(words)
            .y_desc(unit)
            .x_label_formatter(&label)
            .label_style((FONT, 13).into_font().color(&INK))
            .draw()
            .map_err(drawing)?;
        let points: Vec<_> = points.iter().map(|p| (place(p.0), p.1)).collect();
        chart.draw_series(LineSeries::new(points.clone(), COLOURS[0].stroke_width(2))).map_err(drawing)?;
        chart.draw_series(points.iter().map(|p| Circle::new(*p, 3, COLOURS[0].filled()))).map_err(drawing)?;
    }
    area.present().map_err(drawing)
}

/// Draws the labels of what is in `chart`.
fn legend<'a, C>(chart: &mut ChartContext<'a, SVGBackend<'a>, C>, place: SeriesLabelPosition) -> Result<()>
where
    C: CoordTranslate,
{
    chart
        .configure_series_labels()
        .position(place)
        .border_style(GRID)
        .background_style(WHITE)
        .label_font((FONT, 14).into_font().color(&INK))
        .draw()
        .map_err(drawing)
}

fn bytes(b: f64) -> String {
    let (n, unit) = if b < KIB * KIB { (b / KIB, "KiB") } else { (b / KIB / KIB, "MiB") };
    format!("{} {unit}", (n * 10.0).round() / 10.0)
}

fn drawing(e: impl std::fmt::Display) -> anyhow::Error {
    anyhow!("drawing: {e}")
}
