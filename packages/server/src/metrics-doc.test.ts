import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { emptyMetrics } from './testing/empty-metrics.js';

const text = readFileSync(new URL('../../../docs/operations.md', import.meta.url), 'utf8');

test('docs/operations.md lists every metric with its kind, and no other', async () => {
  const metrics = emptyMetrics();
  const shown = await metrics.text(() => {});
  const own = [...shown.matchAll(/^# TYPE (offshoot_\w+ \w+)$/gm)].map(([, each]) => each);
  const documented = [...text.matchAll(/^\| `(offshoot_\w+)` \| (\w+) \| ./gm)].map(
    (row) => `${row[1]} ${row[2]}`,
  );
  expect(own.length).toBeGreaterThan(30);
  expect(documented.sort()).toEqual(own.sort());
});
