-- Conversations that grow, and answers made on request.

CREATE TABLE tree (
  id @id,
  project_id @int NOT NULL REFERENCES project (id),
  name TEXT NOT NULL,
  state TEXT NOT NULL,
  facts TEXT NOT NULL,
  created_ms @int NOT NULL,
  UNIQUE (project_id, name)
) @strict;

CREATE TABLE message (
  id @id,
  tree_id @int NOT NULL REFERENCES tree (id),
  parent_id @int REFERENCES message (id),
  place @int NOT NULL,
  depth @int NOT NULL,
  role TEXT NOT NULL,
  text TEXT NOT NULL,
  state TEXT NOT NULL,
  rank @int,
  author_id @int REFERENCES person (id),
  candidate_id @int REFERENCES candidate (id),
  facts TEXT NOT NULL,
  created_ms @int NOT NULL
) @strict;
CREATE INDEX message_tree ON message (tree_id, parent_id, place);
CREATE INDEX message_author ON message (author_id);

ALTER TABLE task ADD COLUMN message_id @int REFERENCES message (id);
CREATE INDEX task_message ON task (message_id, kind);

CREATE TABLE generation (
  id @id,
  project_id @int NOT NULL REFERENCES project (id),
  request TEXT NOT NULL,
  state TEXT NOT NULL,
  done @int NOT NULL,
  total @int NOT NULL,
  error TEXT,
  heard_ms @int NOT NULL,
  created_ms @int NOT NULL
) @strict;
