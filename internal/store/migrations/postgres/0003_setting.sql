-- What a server leaves for other commands to know of it.
CREATE TABLE setting (
  name  TEXT COLLATE "C" NOT NULL PRIMARY KEY,
  value TEXT COLLATE "C" NOT NULL
);
