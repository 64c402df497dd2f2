-- GIN: every opcode, every action on posting list segments.

create extension pageinspect;

-- Tree of entries with several levels, one insertion at a time: long keys, in no order. Splits of
-- leaves, of internal pages and of the root; items added to entries that exist.
create table entries (k text[]);
create index entries_k on entries using gin (k) with (fastupdate = off);
insert into entries
  select array[(select string_agg(md5((i * 100 + j)::text), '') from generate_series(1, 34) j)]
  from (select i * 7919 % 601 as i from generate_series(1, 600) i) as shuffled;
insert into entries select array['many', 'k' || i % 40, 'u' || i] from generate_series(1, 400) i;
insert into entries values (null), ('{}'), (array[null]::text[]), (array['a', null, 'b']);
delete from entries where k && array['k3', 'k4', 'k5'] or ctid < '(60,1)';
vacuum entries;
insert into entries
  select array[(select string_agg(md5((i * 100 - j)::text), '') from generate_series(1, 30) j), 'k3']
  from generate_series(1, 120) i;

-- A posting tree from its first leaf on, one item at a time.
create table items (id int, k int[]) with (fillfactor = 20);
create index items_k on items using gin (k) with (fastupdate = off);
insert into items select i, array[1, i % 3 + 10] from generate_series(1, 5000) i;
delete from items where id % 3 = 0 or id between 1200 and 1800;
vacuum items;
-- The same item numbers again: items go between others.
insert into items select i, array[1, i % 2 + 20] from generate_series(1, 2500) i;
update items set k = k || 30 where id % 11 = 0;
vacuum items;

-- Trees with many leaves, from an index build. Only pages of GIN are compared from here on.
set wal_consistency_checking = 'gin';
create table trees (id int, k int[]);
insert into trees select i, array[1, 2 + i % 2, 100 + i % 50] from generate_series(1, 60000) i;
create index trees_k on trees using gin (k) with (fastupdate = off);
-- Leaves lose items; those in the middle lose all of them and are deleted.
delete from trees where id % 5 = 0;
vacuum trees;
delete from trees where id between 9000 and 48000;
vacuum trees;
vacuum trees;
-- The item numbers are used again: leaves in the middle split; deleted pages become new ones.
alter index trees_k set (fastupdate = on);
set gin_pending_list_limit = '16MB';
insert into trees select i, array[1, 2, 100 + i % 3] from generate_series(1, 30000) i;
select gin_clean_pending_list('trees_k');
insert into trees select i, array[1, 3, 100 + i % 3] from generate_series(30001, 34000) i;
vacuum trees;
delete from trees where k && array[3];
vacuum trees;
alter index trees_k set (fastupdate = off);
insert into trees select i, array[3, 1] from generate_series(1, 1500) i;
delete from trees;
vacuum trees;
insert into trees select i, array[1] from generate_series(1, 1000) i;
reset wal_consistency_checking;
reset gin_pending_list_limit;

-- The pending list: tuples added to its tail, pages linked to it, lists of several pages at once,
-- emptied by its limit, by the function and by VACUUM.
create table pending (id int, t tsvector, j jsonb);
create index pending_t on pending using gin (t) with (fastupdate = on, gin_pending_list_limit = 64);
create index pending_j on pending using gin (j) with (gin_pending_list_limit = 128);
create index pending_p on pending using gin (j jsonb_path_ops);
create function words(seed int, count int) returns text language sql immutable as
  $$select string_agg(md5((seed * 31 + n * n)::text), ' ') from generate_series(1, count) n$$;
insert into pending
  select i, to_tsvector('simple', words(i, 1 + i % 20)),
    jsonb_build_object('a', i, 'b', i % 7, 'c', array[i % 5, i % 3], 'd', jsonb_build_object('e', md5(i::text)))
  from generate_series(1, 900) i;
-- One heap tuple whose entries fill several pages.
insert into pending values (1000, to_tsvector('simple', words(1000, 3000)), '{}');
insert into pending values (1001, to_tsvector('simple', words(1001, 90)), '[1, 2, "three", null, true]');
insert into pending values (1002, to_tsvector('simple', words(1002, 1000)), 'null');
insert into pending values (1003, '', null);
select gin_clean_pending_list('pending_t');
select gin_clean_pending_list('pending_p');
insert into pending select i, to_tsvector('simple', words(i, 9)), jsonb_build_object('b', i) from generate_series(2000, 2200) i;
vacuum pending;
insert into pending select i, to_tsvector('simple', words(i, 5)), jsonb_build_object('b', i % 4) from generate_series(3000, 3100) i;
analyze pending;
delete from pending where id % 2 = 0;
vacuum pending;
-- session 2:
begin;
insert into pending select i, to_tsvector('simple', words(i, 12)), jsonb_build_object('f', i % 4) from generate_series(4000, 4060) i;
-- session 1:
insert into pending select i, to_tsvector('simple', words(i, 12)), jsonb_build_object('f', i % 4) from generate_series(5000, 5060) i;
select gin_clean_pending_list('pending_t');
-- session 2:
rollback;
-- session 1:
insert into pending select i, to_tsvector('simple', words(i, 3)), '{"f": 1}' from generate_series(6000, 6030) i;
vacuum pending;

-- Several columns, and an index that is built from nothing again.
create table columns (a int[], t tsvector, s text[]);
insert into columns select array[i % 9, i], to_tsvector('simple', md5(i::text)), array[md5((i % 13)::text)] from generate_series(1, 1000) i;
create index columns_all on columns using gin (a, t, s);
insert into columns select array[i % 9, i], to_tsvector('simple', md5(i::text)), array[md5((i % 13)::text)] from generate_series(1, 1000) i;
insert into columns values (null, null, null), ('{}', '', '{}');
vacuum columns;
delete from columns where a && array[1, 2, 3, 4];
vacuum columns;
reindex index columns_all;
truncate columns;
insert into columns select array[i], null, '{}' from generate_series(1, 100) i;
checkpoint;
insert into columns select array[i], null, '{}' from generate_series(1, 100) i;
vacuum columns;
