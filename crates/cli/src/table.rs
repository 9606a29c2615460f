//! Plain tables: columns as wide as their widest cell, numbers to the right.

/// Lays out rows under a header.
pub fn render(header: &[&str], rows: &[Vec<String>]) -> String {
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count());
        cells.chain([header[column].chars().count()]).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..header.len()).map(width).collect();
    let numeric: Vec<bool> = (0..header.len())
        .map(|column| !rows.is_empty() && rows.iter().all(|row| row.get(column).is_some_and(|cell| is_number(cell))))
        .collect();
    let line = |cells: Vec<&str>| {
        let padded: Vec<String> = cells
            .into_iter()
            .enumerate()
            .map(
                |(i, cell)| {
                    if numeric[i] { format!("{cell:>0$}", widths[i]) } else { format!("{cell:<0$}", widths[i]) }
                },
            )
            .collect();
        format!("{}\n", padded.join("  ").trim_end())
    };
    let mut text = line(header.to_vec());
    for row in rows {
        text.push_str(&line(row.iter().map(String::as_str).collect()));
    }
    text
}

fn is_number(cell: &str) -> bool {
    cell == "-"
        || cell
            .trim_end_matches(|c: char| c.is_alphabetic() || c == ' ' || c == '%')
            .replace(',', "")
            .parse::<f64>()
            .is_ok()
}

/// Bytes with a unit of 1,024s.
pub fn bytes(n: u64) -> String {
    let units = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut value = n as f64;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < units.len() {
        value /= 1024.0;
        unit += 1;
    }
    if unit == 0 { format!("{n} B") } else { format!("{value:.1} {}", units[unit]) }
}

/// Seconds as a person says them.
pub fn duration(seconds: f64) -> String {
    let whole = seconds.round().max(0.0) as u64;
    match whole {
        0..60 => format!("{whole} s"),
        60..3600 => format!("{} min {:02} s", whole / 60, whole % 60),
        _ => format!("{} h {:02} min", whole / 3600, whole % 3600 / 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_stand_to_the_right_and_text_to_the_left() {
        let rows = vec![vec!["a".to_string(), "10.5".to_string()], vec!["bcd".to_string(), "2".to_string()]];
        assert_eq!(render(&["name", "x"], &rows), "name     x\na     10.5\nbcd      2\n");
    }

    #[test]
    fn quantities_have_units() {
        assert_eq!(bytes(1023), "1023 B");
        assert_eq!(bytes(1536), "1.5 KiB");
        assert_eq!(bytes(5 << 30), "5.0 GiB");
        assert_eq!(duration(59.4), "59 s");
        assert_eq!(duration(61.0), "1 min 01 s");
        assert_eq!(duration(7260.0), "2 h 01 min");
    }
}
