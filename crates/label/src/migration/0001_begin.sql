-- People and how they come in.

CREATE TABLE person (
  id @id,
  name TEXT NOT NULL UNIQUE,
  role TEXT NOT NULL,
  team TEXT NOT NULL,
  password TEXT,
  active @int NOT NULL,
  salt TEXT NOT NULL,
  created_ms @int NOT NULL,
  erased_ms @int,
  wrong_passwords @int NOT NULL DEFAULT 0,
  locked_until_ms @int NOT NULL DEFAULT 0
) @strict;

CREATE TABLE origin (
  origin TEXT NOT NULL PRIMARY KEY,
  since_ms @int NOT NULL,
  wrong_passwords @int NOT NULL
) @strict;

CREATE TABLE invitation (
  id @id,
  token TEXT NOT NULL UNIQUE,
  role TEXT NOT NULL,
  team TEXT NOT NULL,
  note TEXT NOT NULL,
  created_by @int REFERENCES person (id),
  created_ms @int NOT NULL,
  expires_ms @int NOT NULL,
  used_by @int REFERENCES person (id),
  revoked_ms @int
) @strict;

CREATE TABLE session (
  token TEXT NOT NULL PRIMARY KEY,
  csrf TEXT NOT NULL,
  person_id @int NOT NULL REFERENCES person (id),
  created_ms @int NOT NULL,
  expires_ms @int NOT NULL,
  replaced_ms @int
) @strict;
CREATE INDEX session_person ON session (person_id);

CREATE TABLE api_token (
  id @id,
  token TEXT NOT NULL UNIQUE,
  person_id @int NOT NULL REFERENCES person (id),
  name TEXT NOT NULL,
  scopes TEXT NOT NULL,
  created_ms @int NOT NULL,
  expires_ms @int,
  revoked_ms @int,
  used_ms @int
) @strict;
CREATE INDEX api_token_person ON api_token (person_id);

CREATE TABLE audit (
  id @id,
  at_ms @int NOT NULL,
  person_id @int REFERENCES person (id),
  project_id @int,
  action TEXT NOT NULL,
  object TEXT NOT NULL,
  details TEXT NOT NULL
) @strict;
@append_only audit;

-- What is labeled.

CREATE TABLE project (
  id @id,
  uid TEXT NOT NULL UNIQUE,
  name TEXT NOT NULL UNIQUE,
  settings TEXT NOT NULL,
  state TEXT NOT NULL,
  seed @int NOT NULL,
  pseudonym_key TEXT NOT NULL,
  guide_version @int NOT NULL,
  created_ms @int NOT NULL
) @strict;

CREATE TABLE guide (
  project_id @int NOT NULL REFERENCES project (id),
  version @int NOT NULL,
  phase TEXT NOT NULL,
  body TEXT NOT NULL,
  author_id @int REFERENCES person (id),
  created_ms @int NOT NULL,
  PRIMARY KEY (project_id, version)
) @strict;

CREATE TABLE prompt (
  id @id,
  project_id @int NOT NULL REFERENCES project (id),
  content TEXT NOT NULL,
  content_hash TEXT NOT NULL,
  prefix_hash TEXT NOT NULL,
  use_case TEXT,
  user_id TEXT,
  language TEXT,
  source TEXT,
  author_id @int REFERENCES person (id),
  priority @real NOT NULL,
  state TEXT NOT NULL,
  expires_ms @int,
  created_ms @int NOT NULL,
  UNIQUE (project_id, content_hash)
) @strict;
CREATE INDEX prompt_prefix ON prompt (project_id, prefix_hash);
CREATE INDEX prompt_user ON prompt (user_id, project_id);
CREATE INDEX prompt_expires ON prompt (expires_ms);

CREATE TABLE candidate (
  id @id,
  prompt_id @int NOT NULL REFERENCES prompt (id),
  text TEXT NOT NULL,
  text_hash TEXT NOT NULL,
  source TEXT,
  origin TEXT NOT NULL,
  author_id @int REFERENCES person (id),
  score @real,
  created_ms @int NOT NULL,
  UNIQUE (prompt_id, text_hash)
) @strict;
CREATE INDEX candidate_author ON candidate (author_id);

-- Who does what.

CREATE TABLE task (
  id @id,
  project_id @int NOT NULL REFERENCES project (id),
  kind TEXT NOT NULL,
  purpose TEXT NOT NULL,
  state TEXT NOT NULL,
  prompt_id @int REFERENCES prompt (id),
  overlap @int NOT NULL,
  n_done @int NOT NULL,
  n_leased @int NOT NULL,
  priority @real NOT NULL,
  role TEXT NOT NULL,
  about @int REFERENCES task (id),
  brief TEXT,
  gold TEXT,
  created_ms @int NOT NULL
) @strict;
CREATE INDEX task_queue ON task (project_id, state, purpose, priority DESC, id);
CREATE INDEX task_prompt ON task (prompt_id, kind);

CREATE TABLE task_candidate (
  task_id @int NOT NULL REFERENCES task (id),
  place @int NOT NULL,
  candidate_id @int NOT NULL REFERENCES candidate (id),
  PRIMARY KEY (task_id, place)
) @strict;
CREATE INDEX task_candidate_candidate ON task_candidate (candidate_id);

-- Whose text a task shows: they may not judge it.
CREATE TABLE task_author (
  task_id @int NOT NULL REFERENCES task (id),
  person_id @int NOT NULL REFERENCES person (id),
  PRIMARY KEY (task_id, person_id)
) @strict;

CREATE TABLE lease (
  id @id,
  token TEXT NOT NULL UNIQUE,
  task_id @int NOT NULL REFERENCES task (id),
  project_id @int NOT NULL REFERENCES project (id),
  person_id @int NOT NULL REFERENCES person (id),
  state TEXT NOT NULL,
  reason TEXT,
  shown TEXT NOT NULL,
  guide_version @int NOT NULL,
  created_ms @int NOT NULL,
  expires_ms @int NOT NULL,
  ended_ms @int
) @strict;
CREATE INDEX lease_person ON lease (person_id, project_id, state);
CREATE INDEX lease_task ON lease (task_id, person_id, state);
CREATE INDEX lease_expires ON lease (state, expires_ms);

CREATE TABLE draft (
  task_id @int NOT NULL REFERENCES task (id),
  person_id @int NOT NULL REFERENCES person (id),
  body TEXT NOT NULL,
  seconds @real NOT NULL,
  saved_ms @int NOT NULL,
  PRIMARY KEY (task_id, person_id)
) @strict;

CREATE TABLE qualification (
  project_id @int NOT NULL REFERENCES project (id),
  person_id @int NOT NULL REFERENCES person (id),
  passed @int NOT NULL,
  agreement @real NOT NULL,
  decided_ms @int NOT NULL,
  PRIMARY KEY (project_id, person_id)
) @strict;

-- What was said. The row stays as it is; its words stand apart, so that they can be erased.

CREATE TABLE judgement (
  id @id,
  project_id @int NOT NULL REFERENCES project (id),
  task_id @int NOT NULL REFERENCES task (id),
  person_id @int NOT NULL REFERENCES person (id),
  submission TEXT NOT NULL,
  kind TEXT NOT NULL,
  source TEXT NOT NULL,
  shown TEXT NOT NULL,
  guide_version @int NOT NULL,
  seconds @real,
  corrects @int UNIQUE REFERENCES judgement (id),
  body_hash TEXT NOT NULL,
  created_ms @int NOT NULL,
  UNIQUE (person_id, submission)
) @strict;
CREATE INDEX judgement_project ON judgement (project_id, id);
CREATE INDEX judgement_task ON judgement (task_id);
CREATE INDEX judgement_person ON judgement (person_id, project_id, created_ms);
@append_only judgement;

CREATE TABLE judgement_body (
  judgement_id @int NOT NULL PRIMARY KEY REFERENCES judgement (id),
  body TEXT NOT NULL,
  erased_ms @int
) @strict;
