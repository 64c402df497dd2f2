import { expect, test } from 'vitest';
import { CopyDataGatherer } from './copy-data-gatherer.js';

test('puts bodies together, wherever they are cut', () => {
  const bodies: string[] = [];
  const gatherer = new CopyDataGatherer(16, (body) => bodies.push(body.toString()));
  for (const text of ['whole', 'in pieces', 'x']) {
    for (let step = 1; step <= text.length; step++) {
      for (let at = 0; at < text.length; at += step) {
        gatherer.copyData(Buffer.from(text.slice(at, at + step)), at, text.length);
      }
    }
  }
  expect([...new Set(bodies)]).toEqual(['whole', 'in pieces', 'x']);
  expect(bodies).toHaveLength('whole'.length + 'in pieces'.length + 1);
});

test('refuses a body that is too large before it has come', () => {
  const gatherer = new CopyDataGatherer(16, () => {});
  expect(() => gatherer.copyData(Buffer.from('w'), 0, 17)).toThrow(
    expect.objectContaining({ code: 'source_protocol_violation' }),
  );
});
