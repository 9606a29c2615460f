//! Data formats to records, splits and statistics.
