-- Enough transactions and multixacts for new pages of all status logs; then everything is frozen
-- in all databases, and the old segments are truncated: a segment of pg_xact holds 2^20
-- transactions.
create extension dblink;
create table locked (id int primary key);
insert into locked select i from generate_series(1, 3000) i;

-- session 2 (background): half of the transactions
set synchronous_commit = off;
do $$ begin for i in 1..520000 loop perform txid_current(); commit; end loop; end $$;
-- session 1:
set synchronous_commit = off;
do $$ begin for i in 1..530000 loop perform txid_current(); commit; end loop; end $$;
-- session 2:
begin;
select count(*) from (select * from locked for key share) as locked;
-- session 1:
do $$ begin for i in 1..3000 loop perform 1 from locked where id = i for share; end loop; end $$;
do $$ begin for i in 1..3000 loop perform 1 from locked where id = i for share; commit; end loop; end $$;
-- session 2:
commit;
-- session 1:
update pg_database set datallowconn = true where datname = 'template0';
-- The names first: a cursor's pin on a page of pg_database would make VACUUM wait for ever.
create procedure freeze_all() language plpgsql as $$
declare
  names text[] := array(select datname from pg_database where datname <> current_database());
  name text;
  place text := format('host=%s port=%s user=%s', trim('"' from current_setting('unix_socket_directories')), current_setting('port'), current_user);
begin
  foreach name in array names loop
    perform dblink_exec(format('dbname=%I %s', name, place), 'vacuum (freeze)');
  end loop;
end $$;
set vacuum_freeze_min_age = 0;
set vacuum_multixact_freeze_min_age = 0;
call freeze_all();
vacuum (freeze);
call freeze_all();
vacuum (freeze);
update pg_database set datallowconn = false where datname = 'template0';
checkpoint;
