import { describe, expect, test } from 'vitest';
import { parsePageServiceCommand } from './page-service-command.js';

const T = '0123456789abcdef0123456789abcdef';
const L = 'fedcba9876543210fedcba9876543210';
const address = { tenant: T, timeline: L };
const base = {
  name: 'basebackup',
  ...address,
  lsn: undefined,
  compression: 'none',
  startAs: 'primary',
  wal: 'whole-segment',
};

describe('a command', () => {
  test.each([
    [`pagestream_v2 ${T} ${L}`, { name: 'pagestream', version: 2, ...address }],
    [`  PageStream_V3\t${T}   ${L.toUpperCase()}\n`, { name: 'pagestream', version: 3, ...address }],
    [`basebackup ${T} ${L}`, base],
    [`basebackup ${T} ${L} latest`, base],
    [`basebackup ${T} ${L} 0/1A --gzip`, { ...base, lsn: 0x1an, compression: 'gzip' }],
    [`basebackup ${T} ${L} --gzip --replica`, { ...base, compression: 'gzip', startAs: 'replica' }],
    [
      `basebackup --replica ${T} --first-page ${L} --gzip 1/0`,
      {
        ...base,
        lsn: 0x1_0000_0000n,
        compression: 'gzip',
        startAs: 'replica',
        wal: 'first-page',
      },
    ],
    [`fullbackup ${T} ${L}`, { name: 'fullbackup', ...address, lsn: undefined, prevLsn: undefined }],
    [`fullbackup ${T} ${L} 0/20 0/10`, { name: 'fullbackup', ...address, lsn: 0x20n, prevLsn: 0x10n }],
    [`lease lsn ${T} ${L} 0/20 `, { name: 'lease lsn', ...address, lsn: 0x20n }],
    [`LEASE LSN ${T}-0001 ${L} 0/20`, { name: 'lease lsn', ...address, lsn: 0x20n }],
    [
      `relations ${T} ${L} 0/20 1663 5`,
      { name: 'relations', ...address, lsn: 0x20n, spcnode: 1663, dbnode: 5 },
    ],
    [
      `relations ${T} ${L} latest 1664 0`,
      { name: 'relations', ...address, lsn: undefined, spcnode: 1664, dbnode: 0 },
    ],
    ['set datestyle to iso', { name: 'set' }],
    ['SET', { name: 'set' }],
  ])('%j', (text, expected) => {
    expect(parsePageServiceCommand(text)).toEqual(expected);
  });

  test.each([
    ['', 'unknown command'],
    ['show x', 'unknown command'],
    ['constructor', 'unknown command'],
    ['pagestream', 'unknown command'],
    [`pagestream_v3 ${T}`, 'number of arguments'],
    [`pagestream_v3 ${T} ${L} x`, 'number of arguments'],
    [`pagestream_v3 ${T} ${L};`, 'timeline id'],
    [`pagestream_v3 ${T}-0001 ${L}`, 'tenant id'],
    [`basebackup ${T}`, 'number of arguments'],
    [`basebackup ${T} ${L} 0/1 0/2`, 'number of arguments'],
    [`basebackup ${T} ${L} now`, 'no LSN'],
    [`basebackup ${T} ${L} --gzip --gzip`, 'twice'],
    [`basebackup ${T} ${L} --zstd`, 'unknown flag'],
    [`fullbackup ${T} ${L} --gzip`, 'no LSN'],
    [`fullbackup ${T} ${L} 0/10 0/20`, 'PREV_LSN'],
    [`lease ${T} ${L} 0/20`, 'usage'],
    [`lease lsn ${T} ${L}`, 'number of arguments'],
    [`relations ${T} ${L} 0/20 1663`, 'number of arguments'],
    [`relations ${T} ${L} 0/20 1663 4294967296`, 'no OID'],
    [`relations ${T} ${L} 0/20 -1 5`, 'no OID'],
  ])('%j is refused', (text, why) => {
    expect(() => parsePageServiceCommand(text)).toThrow(
      expect.objectContaining({ code: 'bad_command', sqlState: 'XX000' }),
    );
    expect(() => parsePageServiceCommand(text)).toThrow(why);
  });

  test('a refusal does not repeat kilobytes of what was sent', () => {
    const thrown = (text: string) => {
      try {
        parsePageServiceCommand(text);
      } catch (error) {
        return (error as Error).message.length;
      }
      return Number.POSITIVE_INFINITY;
    };
    for (const text of ['x'.repeat(50_000), `pagestream_v3 ${'x'.repeat(50_000)} ${L}`]) {
      expect(thrown(text)).toBeLessThan(400);
    }
  });
});
