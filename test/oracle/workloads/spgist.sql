-- SP-GiST: every record type, and the variants of each that production writes (an index build is
-- logged as whole pages, never as records of a build).

set synchronous_commit = off;
create function word(i bigint, length integer) returns text
    language sql immutable
    return substr(repeat(md5(i::text), length / 32 + 1), 1, length);
create function spot(i bigint, salt text) returns point
    language sql immutable
    return point(('x' || substr(md5(salt || i), 1, 6))::bit(24)::int / 1000.0,
                 ('x' || substr(md5(salt || i), 7, 6))::bit(24)::int / 1000.0);

-- Quad tree and k-d tree, one over the same column as the other: root splits, picksplits, moves,
-- the tree of nulls beyond its root page.
create table points (id bigint, p point) with (autovacuum_enabled = off);
create index points_quad on points using spgist (p);
create index points_kd on points using spgist (p kd_point_ops);
insert into points select i, spot(i, 'a') from generate_series(1, 20) i;
delete from points where id % 3 = 0;
vacuum points;
insert into points select i, spot(i, 'b') from generate_series(21, 1500) i;
insert into points select i, case when i % 4 > 0 then spot(i % 40, 'c') end from generate_series(1501, 2600) i;
delete from points where id % 3 = 1 or id between 1700 and 1900;
vacuum points;
insert into points select i, spot(i, 'd') from generate_series(3001, 3600) i;
insert into points select i, null from generate_series(3601, 4200) i;
delete from points where p is null and id % 2 = 0;
vacuum points;

-- Nothing but nulls in the root of their tree; then none.
create table few_nulls (id bigint, p point, r int4range) with (autovacuum_enabled = off);
create index few_nulls_p on few_nulls using spgist (p);
create index few_nulls_r on few_nulls using spgist (r);
insert into few_nulls select i, null, null from generate_series(1, 60) i;
delete from few_nulls where id % 4 < 3;
vacuum few_nulls;
delete from few_nulls;
vacuum few_nulls;

-- All the same: inner tuples whose nodes mean nothing, and what happens when another value comes.
create table same (id bigint, p point, t text) with (autovacuum_enabled = off);
create index same_p on same using spgist (p);
create index same_t on same using spgist (t);
insert into same select i, point(1, 1), 'the same ' || repeat('x', 40) from generate_series(1, 700) i;
insert into same select i, point(i % 7, i % 5), 'the sane ' || word(i, 30) from generate_series(701, 900) i;
insert into same select i, point(1, 1), 'the same ' || repeat('x', (i % 60)::int) from generate_series(901, 1300) i;
delete from same where id % 5 < 4;
vacuum same;

-- Prefix tree. New letters add nodes, first where the inner tuple is, then on other pages.
create table words (id bigint, t text) with (autovacuum_enabled = off);
create index words_t on words using spgist (t);
insert into words select i, word(i, 12) from generate_series(1, 1200) i;
insert into words
    select i, chr((33 + i % 90)::int) || chr((33 + i * 7 % 89)::int) || chr((33 + i * 11 % 83)::int) || word(i, (i % 50)::int)
    from generate_series(1201, 3200) i;
insert into words
    select i, chr((256 + i % 200)::int) || chr((300 + i * 7 % 189)::int) || chr((256 + i * 3 % 30)::int) || word(i, 20)
    from generate_series(3201, 4400) i;

-- Long common prefixes, then values that leave them ever earlier: tuples are split into prefix and
-- postfix, on the same page and on others.
create table long (id bigint, t text) with (autovacuum_enabled = off);
create index long_t on long using spgist (t);
insert into long select i, repeat('long common prefix ', 12) || word(i, 40) from generate_series(1, 700) i;
insert into long
    select i, substr(repeat('long common prefix ', 12), 1, (220 - i % 219)::int) || '#' || word(i, 30)
    from generate_series(701, 1500) i;
insert into long
    select i, repeat(chr((97 + i % 6)::int), 100) || repeat(chr((97 + i / 6 % 6)::int), (i % 90)::int) || word(i, 300)
    from generate_series(1501, 2300) i;
insert into long
    select i, repeat(chr((97 + i % 6)::int), (i * 13 % 101)::int) || chr((65 + i % 50)::int) || word(i, 50)
    from generate_series(2301, 3100) i;

-- Under inner tuples that are not the root's: chains whose prefix is most of their length fit their
-- page once it is in the inner tuple.
create table deep (id bigint, t text) with (autovacuum_enabled = off);
create index deep_t on deep using spgist (t);
insert into deep
    select a * 1000 + b * 100 + c, chr(65 + a) || chr(65 + b) || repeat(chr(97 + a), 350) || word(c, 6)
    from generate_series(0, 19) c, generate_series(0, 2) a, generate_series(0, 8) b;
insert into deep
    select a * 1000 + b * 100 + c, chr(65 + a) || chr(65 + b) || chr(65 + c) || word(b * 100 + c, 600)
    from generate_series(0, 2) a, generate_series(0, 20) b, generate_series(0, 20) c
    order by greatest(b, c), a, b, c;

-- Chains that vanish leave dead tuples at their heads; what comes later takes their places, on the
-- same page or, if that is full, elsewhere.
delete from words where t < '8';
vacuum words;
insert into words select i, word(i, 10) from generate_series(1, 300) i;
insert into words select i, word(i, 60) || repeat('y', (i % 200)::int) from generate_series(5001, 5900) i;
delete from long where id % 7 <> 0;
vacuum long;
insert into long
    select i, repeat('long common prefix ', 12) || word(i, 400) from generate_series(4001, 4300) i;

-- Ranges, addresses, boxes, polygons, circles of numbers around nothing.
create table shapes (id bigint, r int4range, n numrange, a inet, b box, g polygon) with (autovacuum_enabled = off);
create index shapes_r on shapes using spgist (r);
create index shapes_n on shapes using spgist (n);
create index shapes_a on shapes using spgist (a inet_ops);
create index shapes_b on shapes using spgist (b);
create index shapes_g on shapes using spgist (g);
insert into shapes
    select i,
        case when i % 11 = 0 then 'empty' when i % 13 = 0 then int4range(null, i::int) else int4range((i * 37 % 1000)::int, (i * 37 % 1000 + i % 50)::int) end,
        numrange((i * 17 % 321) / 7.0, case when i % 9 > 0 then (i * 17 % 321) / 7.0 + i end),
        case when i % 5 > 0 then (i * 71 % 256 || '.' || i % 250 || '.' || i * 3 % 256 || '.0')::inet + i % 256
            else ('fe80::' || to_hex(i * 91 % 65536) || '/' || 64 + i % 64)::inet end,
        box(spot(i, 'e'), spot(i, 'f')),
        polygon(circle(spot(i, 'g'), 1 + i % 100))
    from generate_series(1, 900) i;
delete from shapes where id % 3 = 0;
vacuum shapes;
insert into shapes
    select i, int4range(5, 9), numrange(0, 1), '10.0.0.0/8', box(point(0, 0), point(1, 1)), polygon(circle(spot(i % 3, 'h'), 5))
    from generate_series(1001, 1300) i;
delete from shapes where id % 3 = 1;
vacuum shapes;

-- An old snapshot keeps redirects from becoming placeholders.
create table kept (id bigint, p point, t text) with (autovacuum_enabled = off);
insert into kept select i, spot(i, 'k'), word(i, 20) from generate_series(1, 300) i;
create index kept_p on kept using spgist (p);
create index kept_t on kept using spgist (t) with (fillfactor = 50);
-- session 2:
begin isolation level repeatable read;
select count(*) from kept;
-- session 1:
insert into kept select i, spot(i, 'l'), word(i, 20) from generate_series(301, 1000) i;
insert into kept select i, point(i % 3, i % 2), chr((33 + i % 90)::int) || word(i, 50) from generate_series(1001, 1400) i;
delete from kept where id % 2 = 0;
vacuum kept;
-- session 2:
commit;
-- session 1:
vacuum kept;
insert into kept select i, spot(i, 'm'), word(i, 30) from generate_series(1401, 2000) i;
vacuum kept;
delete from kept where id > 100;
vacuum kept;
insert into kept select i, spot(i, 'n'), word(i, 30) from generate_series(3001, 3500) i;

-- A build, more after it, and a build anew of what is there by then.
create index words_again on words using spgist (t);
insert into words select i, word(i, 25) from generate_series(6001, 6300) i;
reindex index words_t;
insert into words select i, word(i, 35) from generate_series(6301, 6500) i;

-- Two sessions insert in turns, so that xids in redirects differ from page to page.
-- session 2:
begin;
insert into words select i, word(i, 8) || 'two' from generate_series(7001, 7300) i;
-- session 1:
insert into words select i, word(i, 8) || 'one' from generate_series(7001, 7300) i;
-- session 2:
rollback;
vacuum words;
-- session 1:
delete from words;
vacuum words;
vacuum words;
