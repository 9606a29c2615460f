-- Judgements that come from elsewhere keep the name that their rows had.

ALTER TABLE judgement ADD COLUMN name TEXT;
CREATE INDEX judgement_name ON judgement (name);
