import { expect, test } from 'vitest';
import { parseWorkload } from './workload.js';

test('statements end with a semicolon at the end of a line, but not within quotes', () => {
  const text = [
    '-- a comment; with a semicolon;',
    'select 1;',
    'do $$ begin',
    '  perform 1;',
    "end $$; -- and here it ends; 'yes",
    "insert into t values ('a;",
    "');",
    'begin; commit;',
    'do $body$ select $$;',
    '$body$;',
  ].join('\n');
  const [step] = parseWorkload(text);
  expect(step?.statements).toHaveLength(5);
  expect(step?.statements[1]).toBe("do $$ begin\n  perform 1;\nend $$; -- and here it ends; 'yes");
  expect(step?.statements[3]).toBe('begin; commit;');
});

test('markers say which session sends what', () => {
  const text = [
    'select 1;',
    '-- session 2:',
    'select 2;',
    'select 3;',
    '-- session 3 (background): why',
    'select 4;',
    '-- session 1:',
    'select 5;',
    '',
  ].join('\n');
  const steps = parseWorkload(text).map((step) => [step.session, step.background, step.statements.length]);
  expect(steps).toEqual([
    [1, false, 1],
    [2, false, 2],
    [3, true, 1],
    [1, false, 1],
  ]);
});

test('a statement without its end is an error', () => {
  expect(() => parseWorkload('select 1')).toThrow('has no end: select 1');
  expect(() => parseWorkload('select 1\n-- session 2:\nselect 2;')).toThrow('has no end before');
});
