import { customers } from './shop.js';

/** What an agent might try on its own copy: one statement batch a step. */
export const migration: readonly (readonly [name: string, sql: string])[] = [
  [
    'add and backfill customers.full_name',
    `alter table customers add column full_name text;
     update customers set full_name = first_name || ' ' || last_name;
     alter table customers alter column full_name set not null;
     create index customers_full_name on customers (full_name)`,
  ],
  [
    'move addresses into a table of their own',
    `create table addresses (
       id bigint generated always as identity primary key,
       customer_id bigint not null references customers on delete cascade,
       street text not null, city text not null, postcode text not null,
       unique (customer_id, street, postcode)
     );
     insert into addresses (customer_id, street, city, postcode)
       select id, street, city, postcode from customers`,
  ],
  [
    'drop the old columns',
    'alter table customers drop column street, drop column city, drop column postcode',
  ],
];

/** Each check answers one row with the column \`ok\`. */
export const checks: readonly (readonly [name: string, sql: string])[] = [
  ['no customer was lost', `select count(*) = ${customers} as ok from customers`],
  [
    'every customer has one address',
    `select count(*) = ${customers} and count(distinct customer_id) = ${customers} as ok from addresses`,
  ],
  [
    'names were built right',
    `select bool_and(full_name = first_name || ' ' || last_name) as ok from customers`,
  ],
  [
    'every constraint holds',
    `select bool_and(convalidated) and count(*) filter (where conrelid = 'addresses'::regclass) >= 3 as ok
     from pg_constraint where connamespace = 'public'::regnamespace`,
  ],
  [
    'the new index is used and right',
    `select count(*) = (select count(*) from customers where first_name = 'First7' and last_name = 'Last7') as ok
     from customers where full_name = 'First7 Last7'`,
  ],
  [
    'the old columns are gone',
    `select count(*) = 0 as ok from information_schema.columns
     where table_name = 'customers' and column_name in ('street', 'city', 'postcode')`,
  ],
];
