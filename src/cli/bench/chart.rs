//! A chart of what was measured: a bar for each rate, the lighter ones what was done by hand. What has no rate has a bar for its
//! time.

use std::fmt::Write;

use super::report::{Row, in_milliseconds};

const WIDTH: u64 = 960;
/// Where bars begin; their words are before them.
const LEFT: u64 = 390;
/// What is left for the longest bar, before its number.
const LONGEST: u64 = 470;
const LINE: u64 = 22;
const TOP: u64 = 44;

/// An SVG that needs nothing else. Bars of the same work at the same block time have one scale.
pub(super) fn of(rows: &[Row]) -> String {
    let lines = u64::try_from(rows.len()).unwrap_or(u64::MAX);
    let height = TOP + LINE * lines + 16;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height}\" viewBox=\"0 0 {WIDTH} {height}\" \
         font-family=\"system-ui, sans-serif\" font-size=\"13\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#fffefb\"/>\n\
         <text x=\"16\" y=\"26\" font-size=\"15\" font-weight=\"600\" fill=\"#18211d\">preauthd bench: a second, medians</text>\n"
    );
    for (row, y) in rows.iter().zip((0..).map(|line| TOP + LINE * line)) {
        let same = |other: &&Row| other.what == row.what && other.block_time == row.block_time;
        let most = rows.iter().filter(same).map(measure).max().unwrap_or_default().max(1);
        let length = measure(row).saturating_mul(LONGEST) / most;
        let fill = if row.who == "daemon" { "#12604f" } else { "#8a938d" };
        let text = y + 14;
        // Writing to a string cannot fail.
        let _ = writeln!(
            svg,
            "<text x=\"16\" y=\"{text}\" fill=\"#18211d\">{}</text>\
             <rect x=\"{LEFT}\" y=\"{}\" width=\"{length}\" height=\"14\" rx=\"3\" fill=\"{fill}\"/>\
             <text x=\"{}\" y=\"{text}\" fill=\"#56615b\">{}</text>",
            row.name(),
            y + 3,
            LEFT + length + 8,
            number(row),
        );
    }
    svg.push_str("</svg>\n");
    svg
}

/// How long its bar is beside others.
fn measure(row: &Row) -> u64 {
    row.per_second.or(row.p50_us).unwrap_or_default()
}

/// What its bar says.
fn number(row: &Row) -> String {
    let time = || row.p50_us.map(in_milliseconds);
    row.per_second.map(|rate| rate.to_string()).or_else(time).unwrap_or_default()
}
