-- Heap and Heap2: every record type and flag of theirs that changes a page.

-- INSERT and INSERT+INIT: nulls, widths of all alignments, more than eight columns.
create table wide (id int primary key, a text, b bigint, c "char", d smallint, e numeric, f text, g int, h bool, i date);
insert into wide select n, repeat('a', n % 60), case n % 3 when 0 then n end, 'x', case n % 5 when 0 then n end, n / 7.0, case n % 2 when 0 then repeat('f', n % 13) end, n, n % 2 = 0, '2024-01-01'::date + n % 1000 from generate_series(1, 3000) n;
create table narrow ();
insert into narrow default values;
create table bytes (c "char");
insert into bytes select 'x' from generate_series(1, 600);

-- UPDATE on one page with prefix, suffix, both and neither, and the old bitmap differing.
create table part_of_old (id int, before text, mid text, after text) with (fillfactor = 40);
insert into part_of_old select n, repeat('b', 40), 'mid' || n, repeat('z', 40) from generate_series(1, 200) n;
update part_of_old set mid = 'MID' || id where id % 4 = 0;
update part_of_old set id = id + 1000 where id % 4 = 1;
update part_of_old set after = 'short' where id % 4 = 2;
update part_of_old set before = null, after = 'other' where id % 4 = 3;
update part_of_old set before = 'again', mid = null where id % 4 = 3;
update part_of_old set mid = mid;

-- HOT chains; pruning on access leaves redirects, dead and unused line pointers.
create table hot (id int primary key, v int, filler text) with (fillfactor = 80, autovacuum_enabled = off);
insert into hot select n, 0, repeat('h', 100) from generate_series(1, 1500) n;
update hot set v = 1 where id % 9 = 0;
update hot set v = 2 where id % 9 = 0;
update hot set v = 3 where id % 18 = 0;
delete from hot where id % 7 = 0;
update hot set v = 4 where id % 5 = 0;
select count(*), sum(v) from hot;
update hot set id = id + 100000 where id % 11 = 0;
update hot set v = 5, filler = repeat('H', 300) where id % 4 = 1;
select count(*), sum(v) from hot;

-- Aborted updates and subtransactions; LOCK of a tuple whose updater aborted.
begin;
update hot set v = 6 where id between 20 and 60;
savepoint one;
update hot set v = 7 where id between 30 and 90;
delete from hot where id between 90 and 120;
rollback to one;
insert into hot values (200001, 1, 'sub');
savepoint two;
update hot set v = 8 where id between 40 and 50;
commit;
begin;
update hot set v = 9, filler = 'gone' where id < 40;
rollback;
select sum(v) from (select v from hot where id < 40 for update) locked;
select sum(v) from (select v from hot where id < 60 for no key update) locked;
select sum(v) from (select v from hot where id < 80 for share) locked;
select sum(v) from (select v from hot where id < 90 for key share) locked;
begin;
select sum(v) from (select v from hot where id < 30 for key share) locked;
savepoint three;
update hot set v = 10 where id < 20;
rollback to three;
update hot set v = 11 where id < 10;
commit;

-- VACUUM with indexes (second pass), its truncation of line pointers, then inserts into the gaps.
delete from hot where id % 3 = 0;
vacuum hot;
delete from hot where id between 500 and 900;
vacuum (index_cleanup off) hot;
vacuum hot;
insert into hot select n, 1, repeat('i', n % 90) from generate_series(300000, 300400) n;
delete from hot where id > 250000;
vacuum hot;

-- VACUUM without indexes, and of a table whose end goes.
create table no_index (id int, filler text) with (autovacuum_enabled = off);
insert into no_index select n, repeat('n', n % 200) from generate_series(1, 2000) n;
delete from no_index where id % 2 = 0;
vacuum no_index;
delete from no_index where id > 1000;
vacuum no_index;
delete from no_index;
vacuum no_index;

-- Visibility map set and cleared by each record that clears it; all frozen cleared by locks only.
create table seen (id int primary key, v int, filler text) with (fillfactor = 90, autovacuum_enabled = off);
insert into seen select n, 0, repeat('s', 50) from generate_series(1, 2000) n;
vacuum seen;
update seen set v = 1 where id = 100;
update seen set v = 1, filler = repeat('S', 2000) where id = 300;
delete from seen where id = 500;
insert into seen select n, 0, 'filler' from generate_series(2001, 2020) n;
vacuum seen;
insert into seen values (2021, 0, 'cleared');
vacuum (freeze) seen;
select v from seen where id = 700 for update;
select v from seen where id = 1100 for key share;
vacuum (freeze) seen;
vacuum (disable_page_skipping) seen;
update seen set v = v + 1 where id % 50 = 0;
vacuum (freeze, disable_page_skipping) seen;
vacuum (freeze) wide;
vacuum (freeze) part_of_old;
vacuum (freeze) hot;

-- MULTI_INSERT and +INIT: into new pages, into a page's rest, where all was visible, frozen.
create table copied (n int) with (autovacuum_enabled = off);
copy copied from program 'seq 1 2500';
copy copied from program 'seq 2501 2600';
vacuum copied;
copy copied from program 'seq 2601 2700';
delete from copied where n % 3 = 0;
vacuum copied;
copy copied from program 'seq 1 400';
begin;
truncate copied;
copy copied from program 'seq 1 3000' with (freeze);
commit;
vacuum copied;
update copied set n = -n where n % 100 = 0;
create table copied_text (a text, b text, c text);
copy copied_text from program 'for n in 1 2 3 4 5 6 7 8 9; do printf "%s\t\\N\t%s\n" $n "abc$n"; printf "%0*d\t%0*d\t\\N\n" $n $n $((n * n)) 5; done';
begin;
create table copied_frozen (n int, t text);
copy copied_frozen from program 'seq 1 1000 | sed "s/.*/&\t&&&&/"' with (freeze);
savepoint s;
copy copied_frozen from program 'seq 1 100 | sed "s/.*/&\tnot/"';
commit;
vacuum copied_frozen;

-- TOAST: external and compressed, updated, deleted, unchanged.
create table toasted (id int primary key, t text, u text) with (autovacuum_enabled = off);
alter table toasted alter column u set storage external;
insert into toasted select n, repeat(md5(n::text), 40 * (n % 9)), repeat(chr(65 + n % 26), 1500 * (n % 4)) from generate_series(1, 60) n;
insert into toasted select 1000 + n, string_agg(md5((n * m)::text), ''), 'x' from generate_series(1, 10) n, generate_series(1, 300) m group by n;
update toasted set u = 'short' where id % 3 = 0;
update toasted set t = t || 'more' where id % 5 = 0;
update toasted set id = id + 5000 where id % 7 = 0;
delete from toasted where id % 4 = 0;
vacuum toasted;
vacuum (freeze) toasted;

-- ON CONFLICT: speculative insertions confirmed.
create table spec (k text, v int, filler text);
create unique index spec_k on spec (k);
insert into spec select 'k' || n, 0, null from generate_series(1, 200) n on conflict do nothing;
insert into spec select 'k' || n, 1, repeat('t', 10 * n) from generate_series(150, 300) n on conflict (k) do update set v = spec.v + 1;
insert into spec select 'big' || n, 1, (select string_agg(md5((n * m)::text), '') from generate_series(1, 200) m) from generate_series(1, 3) n on conflict do nothing;

-- ON CONFLICT: taken back, since another session's row was there first. Its index expression waits
-- in the second call of the statement: after the insertion into the table, before that into the index.
create function wait_in_second_call(k text) returns text immutable language plpgsql as $$ begin if current_setting('workload.calls', true) <> '' then perform set_config('workload.calls', (current_setting('workload.calls')::int + 1)::text, false); if current_setting('workload.calls') = '2' then perform pg_advisory_lock(42); perform pg_advisory_unlock(42); end if; end if; return k; end $$;
create table taken_back (k text, v int, filler text);
create unique index taken_back_k on taken_back (wait_in_second_call(k));
insert into taken_back values ('before', 0, 'x');
select pg_advisory_lock(42);
-- session 2:
select set_config('workload.calls', '0', false);
-- session 2 (background):
insert into taken_back values ('same', 2, (select string_agg(md5(m::text), '') from generate_series(1, 200) m)) on conflict (wait_in_second_call(k)) do update set v = taken_back.v + 100;
-- session 1:
do $$ begin while not exists (select from pg_locks where locktype = 'advisory' and not granted) loop perform pg_sleep(0.01); end loop; end $$;
insert into taken_back values ('same', 1, 'first');
select pg_advisory_unlock(42);
-- session 2:
select * from taken_back;

-- Row locks of two sessions: multixacts, LOCK_UPDATED along a chain, chains over pages.
-- session 1:
create table locked (id int primary key, v int, filler text) with (fillfactor = 50, autovacuum_enabled = off);
insert into locked select n, 0, repeat('l', 200) from generate_series(1, 100) n;
begin;
update locked set v = 1 where id <= 20;
update locked set v = 2, filler = repeat('L', 3000) where id <= 5;
select count(*) from (select from locked where id between 30 and 60 for share) l;
-- session 2:
begin;
select count(*) from (select from locked where id <= 25 for key share) l;
select count(*) from (select from locked where id between 40 and 70 for share) l;
select count(*) from (select from locked where id between 80 and 90 for update) l;
-- session 1:
select count(*) from (select from locked where id between 65 and 70 for key share) l;
savepoint a;
select count(*) from (select from locked where id between 1 and 10 for no key update) l;
update locked set v = 3 where id between 15 and 18;
rollback to a;
commit;
-- session 2:
select count(*) from (select from locked where id <= 10 for key share) l;
update locked set v = v + 10 where id between 1 and 8;
commit;
-- session 1:
vacuum locked;
begin;
select count(*) from (select from locked where id <= 50 for share) l;
-- session 2:
begin;
select count(*) from (select from locked where id <= 50 for share) l;
rollback;
-- session 1:
rollback;
vacuum (freeze) locked;
begin;
delete from locked where id = 1;
update locked set id = 1002 where id = 2;
-- session 2 (background):
update locked set v = 99 where id in (1, 2, 3);
-- session 1:
do $$ begin while not exists (select from pg_locks where not granted) loop perform pg_sleep(0.01); end loop; end $$;
rollback;
-- session 2:
begin isolation level repeatable read;
select sum(v) from locked;
-- session 1:
update locked set v = 50 where id between 10 and 12;
update locked set v = 51 where id between 10 and 12;
-- session 2:
select count(*) from (select from locked where id between 10 and 12 for key share) l;
rollback;
-- session 1:
vacuum (freeze) locked;

-- Frozen multixacts: one with an update in it, one of lockers only.
begin;
select count(*) from (select from locked where id between 20 and 40 for key share) l;
-- session 2:
begin;
update locked set v = 5 where id between 30 and 50;
select count(*) from (select from locked where id between 20 and 25 for key share) l;
commit;
vacuum (freeze) locked;
-- session 1:
commit;
vacuum (freeze) locked;

-- A partition key's update moves rows: ctid says so.
create table parted (k int, v text) partition by list (k);
create table parted_1 partition of parted for values in (1);
create table parted_2 partition of parted for values in (2);
insert into parted select 1, 'row ' || n from generate_series(1, 300) n;
update parted set k = 2 where v like '%7%';
begin;
update parted set k = 1 where v like '%77%';
rollback;
vacuum parted;

-- Rewrites, and INPLACE changes of catalogs.
cluster hot using hot_pkey;
vacuum full toasted;
vacuum (freeze) toasted;
create unlogged table was_unlogged (id int primary key, t text);
insert into was_unlogged select n, repeat('u', n % 50) from generate_series(1, 1000) n;
alter table was_unlogged set logged;
update was_unlogged set t = t || 'l' where id % 3 = 0;
alter table was_unlogged add column d int default 5;
update was_unlogged set d = 6 where id % 10 = 0;
alter table was_unlogged alter column id type bigint;
alter table was_unlogged set unlogged;
alter table was_unlogged set logged;
create materialized view seen_often as select v, count(*) from seen group by v;
refresh materialized view seen_often;
create index hot_v on hot (v);
analyze;
vacuum;
vacuum (freeze) pg_class;
vacuum full pg_class;
update pg_class set relpages = relpages where relname = 'hot';
drop table wide;
truncate hot;
insert into hot values (1, 1, 'after truncate');
