-- Record types without pages of their own: transactions, storage, databases, tablespaces, relation
-- maps, replication origins, what standbys need, settings, messages, logical rewrites.

create table work (id int primary key, v text);
insert into work select i, 'v' || i from generate_series(1, 500) i;

-- Transactions: more than 64 subtransactions, aborts, prepared ones with and without files to drop.
do $$
begin
  for i in 1..200 loop
    begin
      insert into work values (1000 + i, 'sub');
      if i % 3 = 0 then
        raise exception 'never mind';
      end if;
    exception when raise_exception then null;
    end;
  end loop;
end $$;
begin;
create table rolled_back (i int primary key);
insert into rolled_back select generate_series(1, 300);
truncate work;
rollback;
begin;
create table prepared_1 (i int primary key);
insert into prepared_1 select generate_series(1, 300);
drop table if exists nothing;
savepoint a;
update work set v = 'prepared' where id < 100;
prepare transaction 'one';
commit prepared 'one';
begin;
create table prepared_2 (i int);
alter table work add column w int default 7;
savepoint a;
insert into prepared_2 select generate_series(1, 300);
prepare transaction 'two';
checkpoint;
rollback prepared 'two';
-- Locks of several transactions on one row, and more of them than fit one page of members.
create table shared (id int primary key, n int);
insert into shared select i, 0 from generate_series(1, 2500) i;
begin;
select count(*) from (select * from shared for key share) as locked;
-- session 2:
begin;
select count(*) from (select * from shared for share) as locked;
-- session 3:
update shared set n = 1 where id > 2500;
begin;
select count(*) from (select * from shared for key share) as locked;
commit;
-- session 2:
commit;
-- session 1:
update shared set n = n + 1 where id % 2 = 0;
commit;

-- Storage: created, truncated by VACUUM with its maps, dropped; init forks.
create table long (i int, v text);
insert into long select i, repeat('x', 200) from generate_series(1, 5000) i;
vacuum long;
delete from long where i > 100;
vacuum (truncate on) long;
begin;
truncate long;
insert into long values (1, 'again');
commit;
create unlogged table unlogged (i int primary key, v text);
create index on unlogged using gin (to_tsvector('simple', v));
insert into unlogged select i, 'v' from generate_series(1, 300) i;
alter table unlogged set logged;
alter table unlogged set unlogged;
drop table unlogged;
create materialized view seen as select * from work;
refresh materialized view seen;

-- Relation maps, and locks that standbys must take.
vacuum full pg_class;
reindex table pg_database;
begin;
lock table work in access exclusive mode;
insert into work values (5000, 'locked');
commit;
cluster work using work_pkey;

-- Databases made in both ways, in tablespaces; moved; dropped.
create tablespace place location '';
create table placed (i int primary key, v text) tablespace place;
insert into placed select i, 'v' from generate_series(1, 1000) i;
vacuum placed;
alter table placed set tablespace pg_default;
alter table work set tablespace place;
alter table work set tablespace pg_default;
create database system_logged strategy wal_log;
create database system_copied strategy file_copy;
create database system_placed tablespace place strategy file_copy;
create database system_placed_logged tablespace place strategy wal_log;
create database system_copy_of_copy template system_logged strategy file_copy;
alter database system_copied set tablespace place;
alter database system_copied set tablespace pg_default;
drop database system_placed;
drop database system_placed_logged;
drop database system_copy_of_copy;
drop tablespace place;

-- Replication origins.
select pg_replication_origin_create('system one');
select pg_replication_origin_create('system two');
select pg_replication_origin_advance('system two', '0/777');
select pg_replication_origin_session_setup('system one');
begin;
select pg_replication_origin_xact_setup('0/1234', '2020-01-01');
insert into work values (6000, 'from elsewhere');
commit;
begin;
select pg_replication_origin_xact_setup('0/2345', '2020-01-02');
insert into work values (6001, 'from elsewhere');
prepare transaction 'from elsewhere';
select pg_replication_origin_xact_setup('0/2346', '2020-01-03');
commit prepared 'from elsewhere';
select pg_replication_origin_session_reset();
select pg_replication_origin_drop('system two');

-- Logical decoding: messages, command ids of catalog rows, where rewritten catalog rows went.
select pg_logical_emit_message(false, 'system', 'outside');
begin;
insert into work values (7000, 'with a message');
select pg_logical_emit_message(true, 'system', repeat('inside', 3000));
commit;
select pg_create_logical_replication_slot('system', 'pgoutput');
begin;
create table decoded (i int primary key);
alter table decoded add column v text;
insert into decoded values (1, 'a');
truncate decoded;
commit;
vacuum full pg_class;
vacuum full pg_attribute;
select pg_drop_replication_slot('system');

-- The log itself.
select pg_create_restore_point('system');
select pg_switch_wal();
select pg_backup_start('system', true);
select pg_backup_stop(false);
select count(lo_create(0)) from generate_series(1, 9000);
select count(lo_unlink(oid)) from pg_largeobject_metadata;
checkpoint;
alter system set full_page_writes = off;
select pg_reload_conf();
select pg_sleep(0.5);
insert into work select i, 'without images' from generate_series(8000, 8500) i;
update work set v = v || '.' where id % 7 = 0;
checkpoint;
update work set v = v || '.' where id % 5 = 0;
-- A visibility map that comes into being by a record without an image.
create table no_images as select i as id from generate_series(1, 3000) i;
vacuum no_images;
alter system reset full_page_writes;
select pg_reload_conf();
select pg_sleep(0.5);
checkpoint;
update work set v = v || '.' where id % 3 = 0;
