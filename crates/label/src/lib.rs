//! Labeling: projects, tasks, assignment and judgements in one database.
