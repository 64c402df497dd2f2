-- BRIN: every record type and kind of operator class, with and without room on the page.
SET client_min_messages = warning;

-- A range for each heap page, a row to a page: more ranges than a revmap page has, so that the
-- revmap grows over regular pages, which are emptied by UPDATE first.
CREATE TABLE many (id int, t text) WITH (fillfactor = 10, autovacuum_enabled = off);
ALTER TABLE many ALTER t SET STORAGE plain;
CREATE INDEX many_id ON many USING brin (id) WITH (pages_per_range = 1);
CREATE INDEX many_both ON many USING brin (id, t) WITH (pages_per_range = 1);
INSERT INTO many SELECT g, repeat('x', 900) FROM generate_series(1, 1000) g;
SELECT brin_summarize_new_values('many_id');
SELECT brin_summarize_new_values('many_both');
INSERT INTO many SELECT g, repeat('y', 900) FROM generate_series(1001, 1500) g;
VACUUM many;
SELECT brin_summarize_new_values('many_id');
SELECT brin_desummarize_range('many_id', 3);
SELECT brin_desummarize_range('many_id', 1400);
SELECT brin_desummarize_range('many_id', 1499);
SELECT brin_desummarize_range('many_id', 4);
SELECT brin_desummarize_range('many_both', g) FROM generate_series(0, 1450, 7) g;
SELECT brin_summarize_range('many_id', 1400);
SELECT brin_summarize_range('many_both', 7);
SELECT brin_summarize_range('many_both', 14);
VACUUM many;

-- Tuples that grow: in place (SAMEPAGE_UPDATE), then to other pages (UPDATE, UPDATE+INIT).
CREATE TABLE grow (id int, t text) WITH (fillfactor = 20, autovacuum_enabled = off);
ALTER TABLE grow ALTER t SET STORAGE plain;
CREATE INDEX grow_t ON grow USING brin (t) WITH (pages_per_range = 1, autosummarize = on);
CREATE INDEX grow_two ON grow USING brin (t, id) WITH (pages_per_range = 2);
INSERT INTO grow SELECT g, 'm' FROM generate_series(1, 8000) g;
SELECT brin_summarize_new_values('grow_t');
SELECT brin_summarize_new_values('grow_two');
UPDATE grow SET t = 'a' WHERE id % 100 = 1;
UPDATE grow SET t = 'z' || repeat('z', id % 50) WHERE id % 30 = 2;
UPDATE grow SET t = repeat('zz', id % 400) WHERE id % 40 = 3;
CHECKPOINT;
UPDATE grow SET t = repeat('zzz', 50 + id % 250) WHERE id % 60 = 4;
UPDATE grow SET t = NULL WHERE id % 90 = 5;
SELECT brin_desummarize_range('grow_t', g) FROM generate_series(0, 60, 3) g;
VACUUM grow;
UPDATE grow SET t = repeat('0', 900) WHERE id % 200 = 6;
DELETE FROM grow WHERE id % 3 = 0;
VACUUM grow;
INSERT INTO grow SELECT g, repeat('b', g % 700) FROM generate_series(1, 2000) g;
SELECT brin_summarize_new_values('grow_t');
INSERT INTO grow SELECT g, repeat('~', g % 1200) FROM generate_series(1, 300) g;

-- The other kinds of operator classes.
CREATE TABLE kinds (id int, n numeric, a inet, b box, r int4range, u uuid, ts timestamp) WITH (autovacuum_enabled = off);
CREATE INDEX kinds_minmax ON kinds USING brin (id, n, a inet_minmax_ops, u, ts) WITH (pages_per_range = 2);
CREATE INDEX kinds_inclusion ON kinds USING brin (a inet_inclusion_ops, b, r) WITH (pages_per_range = 1);
CREATE INDEX kinds_bloom ON kinds USING brin (id int4_bloom_ops, u uuid_bloom_ops) WITH (pages_per_range = 4);
CREATE INDEX kinds_bloom_small ON kinds USING brin (id int4_bloom_ops (n_distinct_per_range = 20, false_positive_rate = 0.2)) WITH (pages_per_range = 1);
CREATE INDEX kinds_multi ON kinds USING brin (id int4_minmax_multi_ops, n numeric_minmax_multi_ops, ts timestamp_minmax_multi_ops (values_per_range = 8)) WITH (pages_per_range = 1);
INSERT INTO kinds SELECT g * 7919 % 5003, g % 97 / 7.0, ('10.0.' || g % 250 || '.' || g % 199)::inet, box(point(g, g), point(g + 1, g + 2)), int4range(g, g + g % 20), md5(g::text)::uuid, '2020-01-01'::timestamp + g * interval '1 minute' FROM generate_series(1, 6000) g;
SELECT brin_summarize_new_values('kinds_minmax') + brin_summarize_new_values('kinds_inclusion') + brin_summarize_new_values('kinds_bloom') + brin_summarize_new_values('kinds_bloom_small') + brin_summarize_new_values('kinds_multi');
INSERT INTO kinds SELECT g * 104729 % 50021, g / 3.0, ('11.' || g % 250 || '.0.0/16')::inet, box(point(-g, g), point(g, g)), 'empty', md5((-g)::text)::uuid, '2021-01-01'::timestamp + g * interval '1 hour' FROM generate_series(1, 3000) g;
VACUUM kinds;
UPDATE kinds SET id = -id, n = n * 1000003, r = int4range(NULL, id), a = 'fe80::1' WHERE id % 50 = 0;
DELETE FROM kinds WHERE id % 2 = 0;
VACUUM kinds;
INSERT INTO kinds SELECT g * 31, g, NULL, NULL, int4range(g, NULL), md5(g::text || 'x')::uuid, NULL FROM generate_series(1, 3000) g;
SELECT brin_desummarize_range('kinds_multi', g) FROM generate_series(0, 40, 2) g;
SELECT brin_desummarize_range('kinds_bloom', 8);
CHECKPOINT;
SELECT brin_summarize_new_values('kinds_multi') + brin_summarize_new_values('kinds_bloom');
UPDATE kinds SET id = id + 100000, n = n + 0.12345678901234567890 WHERE id % 11 = 0;

-- Builds on tables with rows, an unlogged table, and an aborted transaction.
CREATE INDEX many_late ON many USING brin (t, id) WITH (pages_per_range = 1);
CREATE INDEX kinds_late ON kinds USING brin (n numeric_bloom_ops) WITH (pages_per_range = 1);
REINDEX INDEX grow_t;
CREATE UNLOGGED TABLE unlogged (id int);
CREATE INDEX unlogged_id ON unlogged USING brin (id);
INSERT INTO unlogged SELECT generate_series(1, 1000);
ALTER TABLE unlogged SET LOGGED;
BEGIN;
UPDATE kinds SET id = -id - 7 WHERE id % 13 = 0;
INSERT INTO many SELECT -g, repeat('r', 900) FROM generate_series(1, 50) g;
ROLLBACK;
VACUUM many;
SELECT brin_summarize_new_values('many_late');

-- A range is summarized while rows come into it.
-- session 2:
BEGIN;
INSERT INTO kinds (id, n) SELECT g, g FROM generate_series(1, 200) g;
-- session 1:
SELECT brin_summarize_new_values('kinds_minmax');
-- session 2:
INSERT INTO kinds (id, n) SELECT g, -g FROM generate_series(1, 600) g;
COMMIT;
-- session 1:
SELECT count(*) FROM kinds;
