-- GiST: every record type, splits of all levels, pages deleted and used again.
SET enable_seqscan = off;
SET enable_bitmapscan = off;

-- One index of each kind, grown row by row: PAGE_UPDATE, PAGE_SPLIT of leaves and of the root.
CREATE TABLE kinds (id int, p point, b box, c circle, r int4range, tr tsrange, a inet, v tsvector) WITH (autovacuum_enabled = off);
CREATE INDEX kinds_p ON kinds USING gist (p);
CREATE INDEX kinds_b ON kinds USING gist (b) WITH (fillfactor = 60);
CREATE INDEX kinds_c ON kinds USING gist (c);
CREATE INDEX kinds_r ON kinds USING gist (r);
CREATE INDEX kinds_a ON kinds USING gist (a inet_ops);
CREATE INDEX kinds_v ON kinds USING gist (v);
CREATE INDEX kinds_many ON kinds USING gist (tr, b, a inet_ops) INCLUDE (id);
INSERT INTO kinds
  SELECT g, point(g * 7919 % 10007, g * 104729 % 9973),
    box(point(g * 31 % 997, g * 17 % 991), point(g * 31 % 997 + g % 13, g * 17 % 991 + g % 7)),
    circle(point(g * 13 % 499, g * 29 % 487), g % 11 + 1),
    CASE g % 50 WHEN 0 THEN 'empty' WHEN 1 THEN int4range(NULL, g) WHEN 2 THEN int4range(g, NULL) ELSE int4range(g * 37 % 5000, g * 37 % 5000 + g % 100) END,
    tsrange('2020-01-01'::timestamp + g * 37 % 5000 * interval '1 hour', NULL),
    ('10.' || g % 251 || '.' || g * 7 % 241 || '.' || g * 3 % 239 || '/' || 16 + g % 17)::inet,
    to_tsvector('simple', md5((g % 700)::text) || ' ' || md5((g % 300)::text) || ' ' || g % 40)
  FROM generate_series(1, 1200) g;
INSERT INTO kinds (id) SELECT g FROM generate_series(1, 60) g;

-- Few items to a page: a tree of many levels, and splits of inner pages that are told of in their
-- turn by PAGE_SPLIT with a left child.
CREATE TABLE deep (id int, v tsvector, pad text) WITH (autovacuum_enabled = off);
CREATE INDEX deep_v ON deep USING gist (v tsvector_ops (siglen = 1400));
INSERT INTO deep SELECT g, to_tsvector('simple', md5(g::text) || ' ' || md5((g * 3)::text) || ' ' || md5((g % 9)::text)) FROM generate_series(1, 900) g;

-- Items of very different sizes: one page becomes more than two.
CREATE TABLE sizes (p point, pad text) WITH (autovacuum_enabled = off);
ALTER TABLE sizes ALTER pad SET STORAGE plain;
CREATE INDEX sizes_p ON sizes USING gist (p) INCLUDE (pad);
INSERT INTO sizes SELECT point(g % 7, g % 11), repeat('a', g * 7 % 40) FROM generate_series(1, 400) g;
INSERT INTO sizes SELECT point(g % 7, g % 11), repeat('b', 1800 + g % 190) FROM generate_series(1, 60) g;
INSERT INTO sizes SELECT point(3, 4), repeat('c', g * 83 % 1900) FROM generate_series(1, 200) g;
CREATE TABLE wide (v tsvector) WITH (autovacuum_enabled = off);
CREATE INDEX wide_v ON wide USING gist (v tsvector_ops (siglen = 2020));
INSERT INTO wide SELECT to_tsvector('simple', string_agg(md5((g * 1000 + w)::text), ' ')) FROM generate_series(1, 120) g, generate_series(1, 60 + g % 3 * 300) w GROUP BY g;

-- Builds: sorted (point), buffered, plain; then rows into what they built.
CREATE TABLE built AS SELECT point(g % 500, g * 7 % 1999) AS p, box(point(g % 100, g % 77), point(g % 100 + 3, g % 77 + 2)) AS b FROM generate_series(1, 4000) g;
CREATE INDEX built_sorted ON built USING gist (p);
CREATE INDEX built_buffered ON built USING gist (b) WITH (buffering = on, fillfactor = 90);
CREATE INDEX built_plain ON built USING gist (b) WITH (buffering = off, fillfactor = 50);
CREATE INDEX built_buffered_points ON built USING gist (p, b) WITH (buffering = on);
CHECKPOINT;
INSERT INTO built SELECT point(g % 500, g * 3 % 1999), box(point(g % 90, g % 70), point(g % 90 + 1, g % 70 + 1)) FROM generate_series(1, 2000) g;
CREATE INDEX CONCURRENTLY built_concurrently ON built USING gist (p);
CREATE UNLOGGED TABLE unlogged (p point);
CREATE INDEX unlogged_p ON unlogged USING gist (p);
INSERT INTO unlogged SELECT point(g, g) FROM generate_series(1, 500) g;
ALTER TABLE unlogged SET LOGGED;
INSERT INTO unlogged SELECT point(g, g) FROM generate_series(1, 500) g;

-- VACUUM deletes items: one, two, a few, nearly all.
DELETE FROM kinds WHERE id = 100;
VACUUM kinds;
DELETE FROM kinds WHERE id % 97 = 5;
VACUUM kinds;
DELETE FROM kinds WHERE id % 3 = 1;
VACUUM (INDEX_CLEANUP ON) kinds;
UPDATE kinds SET p = point(id, -id), a = '192.168.0.0/16' WHERE id % 5 = 0;
DELETE FROM deep WHERE id % 4 <> 0;
VACUUM deep;
DELETE FROM sizes WHERE pad LIKE 'b%';
VACUUM sizes;

-- Whole pages go (PAGE_DELETE), are found free by the next VACUUM, and used again (PAGE_REUSE).
CREATE TABLE pages (id int, p point) WITH (autovacuum_enabled = off);
CREATE INDEX pages_p ON pages USING gist (p) WITH (fillfactor = 30);
INSERT INTO pages SELECT g, point(g, g % 3) FROM generate_series(1, 3000) g;
DELETE FROM pages WHERE id BETWEEN 300 AND 2500;
VACUUM pages;
SELECT txid_current();
VACUUM pages;
INSERT INTO pages SELECT g, point(g, g % 5) FROM generate_series(1, 3000) g;
CHECKPOINT;
DELETE FROM pages;
VACUUM pages;
SELECT txid_current();
VACUUM pages;
INSERT INTO pages SELECT g, point(-g, g % 5) FROM generate_series(1, 1500) g;
DELETE FROM deep;
VACUUM deep;
SELECT txid_current();
VACUUM deep;
INSERT INTO deep SELECT g, to_tsvector('simple', md5(g::text) || ' ' || md5((g * 5)::text)) FROM generate_series(1, 300) g;

-- Scans mark items dead; a leaf that is full gets rid of them (DELETE) instead of splitting.
CREATE TABLE killed (id int, p point) WITH (autovacuum_enabled = off);
CREATE INDEX killed_p ON killed USING gist (p);
INSERT INTO killed SELECT g, point(g * 7 % 1000, g * 11 % 1000) FROM generate_series(1, 1500) g;
DELETE FROM killed WHERE id % 2 = 0;
SELECT count(*) FROM (SELECT p FROM killed WHERE p <@ box '((-1,-1),(2000,2000))' OFFSET 0) s;
SELECT count(*) FROM (SELECT p FROM killed WHERE p <@ box '((-1,-1),(2000,2000))' OFFSET 0) s;
INSERT INTO killed SELECT g, point(g * 13 % 1000, g * 17 % 1000) FROM generate_series(1, 1500) g;
DELETE FROM killed WHERE id % 700 IN (3, 4);
SELECT count(*) FROM (SELECT p FROM killed WHERE p <@ box '((-1,-1),(2000,2000))' OFFSET 0) s;
INSERT INTO killed SELECT g, point(g * 13 % 1000, g * 17 % 1000) FROM generate_series(1, 3000) g;
UPDATE killed SET p = point(id % 100, id % 33);
SELECT count(*) FROM (SELECT p FROM killed WHERE p <@ box '((-1,-1),(2000,2000))' OFFSET 0) s;
INSERT INTO killed SELECT g, point(g % 100, g % 33) FROM generate_series(1, 3000) g;
VACUUM killed;

-- An exclusion constraint, an aborted transaction, and images of pages everywhere after this.
CREATE TABLE excluded (r int4range, EXCLUDE USING gist (r WITH &&));
INSERT INTO excluded SELECT int4range(g * 10, g * 10 + 9) FROM generate_series(1, 700) g;
BEGIN;
INSERT INTO kinds (id, p, r) SELECT g, point(g, g), int4range(g, g + 1) FROM generate_series(1, 300) g;
ROLLBACK;
CHECKPOINT;
INSERT INTO kinds SELECT * FROM kinds WHERE id % 7 = 0;
VACUUM kinds;

-- Checkpoints while pages are split: images of children that are told of by their parents.
-- session 2 (background):
INSERT INTO deep SELECT g, to_tsvector('simple', md5((-g)::text) || ' ' || md5((g * 7)::text)) FROM generate_series(1, 900) g;
-- session 1:
CHECKPOINT;
INSERT INTO deep SELECT g, to_tsvector('simple', md5((g * 11)::text) || ' ' || md5((g * 13)::text)) FROM generate_series(1, 200) g;
CHECKPOINT;
INSERT INTO killed SELECT g, point(g % 100, g % 333) FROM generate_series(1, 500) g;
CHECKPOINT;
SELECT count(*) FROM deep;
