import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { parseDocument } from 'yaml';
import { emptyMetrics } from './testing/empty-metrics.js';

interface Panel {
  readonly id: number;
  readonly type: string;
  readonly title: string;
  readonly gridPos: Readonly<Record<'h' | 'w' | 'x' | 'y', number>>;
  readonly datasource?: { readonly type: string; readonly uid: string };
  readonly targets?: readonly { readonly refId: string; readonly expr: string }[];
}

interface Dashboard {
  readonly uid: string;
  readonly title: string;
  readonly schemaVersion: number;
  readonly panels: readonly Panel[];
  readonly templating: { readonly list: readonly { readonly name: string; readonly type: string }[] };
}

interface Rule {
  readonly alert: string;
  readonly expr: string;
  readonly for?: string;
  readonly labels: { readonly severity: string };
  readonly annotations: { readonly summary: string; readonly action: string };
}

const file = (name: string) => readFileSync(new URL(`../../../monitoring/${name}`, import.meta.url), 'utf8');
const dashboard = JSON.parse(file('grafana-dashboard.json')) as Dashboard;
const rules = parseDocument(file('alerts.yml'));
const groups = (rules.toJS() as { groups: { name: string; rules: Rule[] }[] }).groups;
const alerts = groups.flatMap((group) => group.rules);
const panels = dashboard.panels.filter(({ type }) => type !== 'row');
const expressions = [
  ...panels.flatMap(({ targets = [] }) => targets.map(({ expr }) => expr)),
  ...alerts.map(({ expr }) => expr),
];

/** Names of series, without what stands in quotes. */
function namesIn(expression: string): string[] {
  const bare = expression.replaceAll(/"(?:[^"\\]|\\.)*"/g, '""');
  return [...bare.matchAll(/\b(?:offshoot|nodejs|process)_\w+/g)].map(([name]) => name);
}

/** All series that there can be: of a histogram `_bucket`, `_sum` and `_count`, and not its own name. */
function seriesOf(text: string): Set<string> {
  return new Set(
    [...text.matchAll(/^# TYPE (\w+) (\w+)$/gm)].flatMap(([, name = '', kind]) =>
      kind === 'histogram' ? [`${name}_bucket`, `${name}_sum`, `${name}_count`] : [name],
    ),
  );
}

test('every series of the dashboard and of the rules is one that there is', async () => {
  const known = seriesOf(await emptyMetrics().text(() => {}));
  const named = expressions.flatMap(namesIn);
  expect(named.length).toBeGreaterThan(80);
  expect(named.filter((name) => !known.has(name))).toEqual([]);
  for (const expression of expressions) expect(namesIn(expression).length, expression).toBeGreaterThan(0);
});

test('parts of the page server that have metrics are all on the dashboard', () => {
  const shown = new Set(panels.flatMap(({ targets = [] }) => targets.flatMap(({ expr }) => namesIn(expr))));
  for (const part of [
    'branch',
    'wake',
    'getpage',
    'receiver',
    'slot',
    'store',
    'gc',
    'computes',
    'gateway',
  ]) {
    expect(
      [...shown].filter((name) => name.startsWith(`offshoot_${part}_`)),
      part,
    ).not.toEqual([]);
  }
});

test('expressions have as many brackets as they close', () => {
  for (const expression of expressions) {
    const bare = expression.replaceAll(/"(?:[^"\\]|\\.)*"/g, '');
    const open: string[] = [];
    for (const each of bare) {
      if ('([{'.includes(each)) open.push(each);
      if (')]}'.includes(each)) expect('([{'.indexOf(open.pop() ?? ''), expression).toBe(')]}'.indexOf(each));
    }
    expect(open, expression).toEqual([]);
  }
});

test('the dashboard has the shape that Grafana imports', () => {
  expect(dashboard).toMatchObject({ uid: 'offshoot', title: 'Offshoot' });
  expect(dashboard.schemaVersion).toBeGreaterThanOrEqual(36);
  expect(dashboard.templating.list.map(({ name, type }) => [name, type])).toEqual([
    ['datasource', 'datasource'],
    ['tenant', 'query'],
  ]);
  const ids = dashboard.panels.map(({ id }) => id);
  expect(new Set(ids).size).toBe(ids.length);
  for (const { title, type, datasource, targets = [] } of panels) {
    expect(['stat', 'timeseries'], title).toContain(type);
    expect(datasource, title).toEqual({ type: 'prometheus', uid: '$'.concat('{datasource}') });
    expect(targets.length, title).toBeGreaterThan(0);
    expect(new Set(targets.map(({ refId }) => refId)).size, title).toBe(targets.length);
  }
});

test('panels lie within the grid, and none over another', () => {
  const taken = new Set<string>();
  for (const { title, gridPos } of dashboard.panels) {
    expect(gridPos.x + gridPos.w, title).toBeLessThanOrEqual(24);
    for (let x = gridPos.x; x < gridPos.x + gridPos.w; x += 1) {
      for (let y = gridPos.y; y < gridPos.y + gridPos.h; y += 1) {
        expect(taken.has(`${x}/${y}`), `${title} at ${x}/${y}`).toBe(false);
        taken.add(`${x}/${y}`);
      }
    }
  }
});

test('the rules are whole: YAML without a mistake, a name of its own for each, and what to do', () => {
  expect([...rules.errors, ...rules.warnings]).toEqual([]);
  expect(new Set(groups.map(({ name }) => name)).size).toBe(groups.length);
  expect(new Set(alerts.map(({ alert }) => alert)).size).toBe(alerts.length);
  for (const rule of alerts) {
    const { alert, labels, annotations, for: holds = '0s' } = rule;
    expect(alert).toMatch(/^Offshoot[A-Z]\w+$/);
    expect(['critical', 'warning', 'info'], alert).toContain(labels.severity);
    expect(holds, alert).toMatch(/^\d+[smhd]$/);
    expect(annotations.action.length, alert).toBeGreaterThan(20);
    expect(annotations.summary, alert).not.toMatch(/\{\{(?! (?:\$labels\.\w+|\$value(?: \| \w+)?) \}\})/);
    expect(
      Object.keys(rule).filter((key) => !RULE_KEYS.includes(key)),
      alert,
    ).toEqual([]);
  }
});

const RULE_KEYS = ['alert', 'expr', 'for', 'keep_firing_for', 'labels', 'annotations'];
