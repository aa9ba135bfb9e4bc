//! Numbers, times and strangers' texts as people read them.

use std::time::{SystemTime, UNIX_EPOCH};

use comfy_table::{Attribute, Cell, CellAlignment, ContentArrangement, Table, presets};

/// A table with `titles` as its header; columns whose index is in `numbers` are aligned right.
pub(super) fn table(titles: &[&str], numbers: &[usize]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    let is_for_person = table.is_tty();
    // Cut to the terminal's width for a person; never for a pipe.
    table.set_content_arrangement(if is_for_person {
        ContentArrangement::Dynamic
    } else {
        ContentArrangement::Disabled
    });
    let bold = |title: &&str| Cell::new(title).add_attribute(Attribute::Bold);
    table.set_header(titles.iter().map(bold).collect::<Vec<_>>());
    for index in numbers {
        if let Some(column) = table.column_mut(*index) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table
}

/// Bytes with three digits or so: `512 B`, `4.2 KiB`, `37 MiB`.
pub(super) fn size(bytes: u64) -> String {
    scaled(bytes, 1024, &["B", "KiB", "MiB", "GiB", "TiB", "PiB"])
}

/// Microseconds: `85 µs`, `1.5 ms`, `12 s`.
pub(super) fn latency(us: u64) -> String {
    match us {
        0..60_000_000 => scaled(us, 1000, &["µs", "ms", "s"]),
        _ => span(us / 1000),
    }
}

fn scaled(value: u64, step: u64, units: &[&str]) -> String {
    let (mut whole, mut rest, mut unit) = (value, 0, 0);
    while whole >= step && unit + 1 < units.len() {
        (whole, rest, unit) = (whole / step, whole % step, unit + 1);
    }
    let tenth = rest * 10 / step;
    match whole {
        0..10 if unit > 0 && tenth > 0 => format!("{whole}.{tenth} {}", units[unit]),
        _ => format!("{whole} {}", units[unit]),
    }
}

/// Milliseconds in the two largest units: `45 s`, `3 min`, `2 h 5 min`, `4 d 3 h`.
pub(super) fn span(ms: u64) -> String {
    let seconds = ms / 1000;
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    let two = |large: u64, large_unit, small: u64, small_unit| match small {
        0 => format!("{large} {large_unit}"),
        _ => format!("{large} {large_unit} {small} {small_unit}"),
    };
    match (days, hours, minutes) {
        (1.., ..) => two(days, "d", hours % 24, "h"),
        (_, 1.., _) => two(hours, "h", minutes % 60, "min"),
        (_, _, 10..) => format!("{minutes} min"),
        (_, _, 1..) => two(minutes, "min", seconds % 60, "s"),
        _ => format!("{seconds} s"),
    }
}

/// When something will be or was, seen from `now_ms`: `in 5 min`, `3 h ago`, `now`.
pub(super) fn relative(at_ms: u64, now_ms: u64) -> String {
    if at_ms.abs_diff(now_ms) < 1000 {
        "now".into()
    } else if at_ms > now_ms {
        format!("in {}", span(at_ms - now_ms))
    } else {
        format!("{} ago", span(now_ms - at_ms))
    }
}

/// A moment as `2026-11-27 08:30:00 UTC`.
pub(super) fn moment(ms: u64) -> String {
    let at = i64::try_from(ms).ok().and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
    at.map_or_else(|| "?".into(), |at| at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string())
}

/// Digits in groups of three: `1,234,567`.
pub(super) fn grouped(value: u64) -> String {
    let digits = value.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// `1 message`, `2 messages`.
pub(super) fn messages(count: u64) -> String {
    format!("{} message{}", grouped(count), if count == 1 { "" } else { "s" })
}

/// A stranger's text without control characters, which could drive a terminal.
pub(super) fn clean(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '·' } else { c }).collect()
}

/// The same, but lines stay lines.
pub(super) fn clean_lines(text: &str) -> String {
    text.split('\n').map(clean).collect::<Vec<_>>().join("\n")
}

/// Milliseconds since 1970.
pub(super) fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities() {
        let sizes = [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (37 << 20, "37 MiB")];
        sizes.into_iter().for_each(|(bytes, text)| assert_eq!(size(bytes), text));
        let latencies =
            [(85, "85 µs"), (1500, "1.5 ms"), (12_300_000, "12 s"), (61_000_000, "1 min 1 s")];
        latencies.into_iter().for_each(|(us, text)| assert_eq!(latency(us), text));
        let spans = [
            (999, "0 s"),
            (61_000, "1 min 1 s"),
            (600_000, "10 min"),
            (7_500_000, "2 h 5 min"),
            (356_400_000, "4 d 3 h"),
        ];
        spans.into_iter().for_each(|(ms, text)| assert_eq!(span(ms), text));
        assert_eq!(grouped(1_234_567), "1,234,567");
        assert_eq!(grouped(123), "123");
        assert_eq!(scaled(u64::MAX, 1024, &["B", "KiB", "MiB", "GiB", "TiB", "PiB"]), "16383 PiB");
    }

    #[test]
    fn times() {
        assert_eq!(relative(300_000, 0), "in 5 min");
        assert_eq!(relative(0, 7_200_000), "2 h ago");
        assert_eq!(relative(5, 900), "now");
        assert_eq!(moment(1_793_707_199_999), "2026-11-03 11:59:59 UTC");
        assert_eq!(moment(u64::MAX), "?");
    }

    #[test]
    fn strangers_cannot_drive_the_terminal() {
        assert_eq!(clean("a\u{1b}[31m\nb\u{9b}é"), "a·[31m·b·é");
        assert_eq!(clean_lines("a\nb\r"), "a\nb·");
    }
}
