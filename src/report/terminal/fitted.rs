//! Lines laid out to the columns of a terminal.

/// Columns that what belongs to a line above stands behind.
pub(super) const HANGING: usize = 10;

/// The text with long lines broken between words; what follows stands below the first column's words. A word that is
/// longer than a line, as the path of the report may be, stays whole.
pub(super) fn fitted(text: &str, columns: usize) -> String {
    let mut out = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        if columns_of(line) <= columns {
            out.push_str(line);
            continue;
        }
        let lead = line.len() - line.trim_start_matches(' ').len();
        let (mut at, mut first) = (0, true);
        for word in line.split(' ') {
            let width = columns_of(word);
            let fits = at + 1 + width <= columns || at <= lead.max(HANGING);
            match (first, fits) {
                (true, _) => {}
                (false, true) => {
                    out.push(' ');
                    at += 1;
                }
                (false, false) => {
                    out.extend(["\n", &" ".repeat(lead.max(HANGING))]);
                    at = lead.max(HANGING);
                }
            }
            out.push_str(word);
            (at, first) = (at + width, false);
        }
    }
    out
}

/// How many columns a text takes, colours taking none.
fn columns_of(text: &str) -> usize {
    let mut columns = 0;
    let mut styled = false;
    for c in text.chars() {
        match c {
            '\x1b' => styled = true,
            'm' if styled => styled = false,
            '\n' => {}
            _ => columns += usize::from(!styled),
        }
    }
    columns
}
