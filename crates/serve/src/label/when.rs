//! Times and durations in words.

use jiff::Timestamp;

/// Milliseconds since 1970 as `2026-11-21 10:30`, in UTC; nothing for a time beyond the calendar.
pub fn minute(ms: i64) -> String {
    Timestamp::from_millisecond(ms).map(|time| time.strftime("%Y-%m-%d %H:%M").to_string()).unwrap_or_default()
}

/// Seconds as `45 s`, `3 min 20 s` or `2 h 5 min`.
pub fn duration(seconds: f64) -> String {
    if !seconds.is_finite() || seconds < 0.0 {
        return String::new();
    }
    let whole = seconds.round() as u64;
    match whole {
        0..60 => format!("{whole} s"),
        60..3600 => format!("{} min {} s", whole / 60, whole % 60),
        _ => format!("{} h {} min", whole / 3600, whole % 3600 / 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_said_in_words() {
        // 1_700_000_000 s is 2023-11-14 22:13:20 UTC.
        assert_eq!(minute(1_700_000_000_000), "2023-11-14 22:13");
        assert_eq!(minute(i64::MAX), "");
        assert_eq!(duration(59.4), "59 s");
        assert_eq!(duration(200.0), "3 min 20 s");
        assert_eq!(duration(7500.0), "2 h 5 min");
        assert_eq!(duration(f64::NAN), "");
    }
}
