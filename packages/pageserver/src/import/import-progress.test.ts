import { expect, it } from 'vitest';
import { type ImportProgress, progressReport } from './import-progress.js';

it('tells each change of phase at once, and the rest now and then', () => {
  let nowMs = 0;
  const told: ImportProgress[] = [];
  const report = progressReport(
    (progress) => told.push(progress),
    100,
    () => nowMs,
  );
  report({ phase: 'connect' });
  report({ bytesTotal: 1000 });
  report({ phase: 'base_backup' });
  for (nowMs = 10; nowMs <= 250; nowMs += 10) {
    report({ bytesDone: nowMs });
  }
  report({ phase: 'wal' });
  expect(told).toEqual([
    { phase: 'connect', bytesDone: 0, pages: 0 },
    { phase: 'base_backup', bytesDone: 0, pages: 0, bytesTotal: 1000 },
    { phase: 'base_backup', bytesDone: 100, pages: 0, bytesTotal: 1000 },
    { phase: 'base_backup', bytesDone: 200, pages: 0, bytesTotal: 1000 },
    { phase: 'wal', bytesDone: 250, pages: 0, bytesTotal: 1000 },
  ]);
});
