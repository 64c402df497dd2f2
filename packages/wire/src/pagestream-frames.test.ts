import { LSN_MAX, type Lsn } from '@offshoot/types';
import { describe, expect, test } from 'vitest';
import { offsetOfFrame, pagestreamErrorFrame, takePagestreamFrames } from './pagestream-frames.js';
import { pagestreamRequestFrame } from './pagestream-request.js';

const header = { requestId: 4711n << 32n, requestLsn: LSN_MAX, notModifiedSince: 0x16b5a50n as Lsn };
const rel = { spcnode: 0x67f, dbnode: 5, relnode: 0x4000, fork: 0 };
const getPage = pagestreamRequestFrame(3, header, { kind: 'GetPage', rel, block: 1 });
const slru = pagestreamRequestFrame(3, header, { kind: 'GetSlruSegment', slruKind: 0, segno: 0 });
const limits = { requestsMax: 100, replyBytesMax: 1_000_000, frameBytesMax: 1000 };
const copyDone = Buffer.from('c\0\0\0\x04');
const huge = Buffer.from('d\x7f\xff\xff\xff', 'latin1');

test('the request of the specification', () => {
  expect(getPage.toString('hex')).toBe(
    '640000002e02' +
      '0000126700000000ffffffffffffffff00000000016b5a50' +
      '0000067f000000050000400000' +
      '00000001',
  );
});

describe('taking frames', () => {
  const cases: [string, Buffer[], object, number, number][] = [
    ['nothing', [], {}, 0, 0],
    ['three', [getPage, getPage, slru], {}, 3, 47 + 47 + 35],
    ['up to one that is not whole', [getPage, getPage.subarray(0, 46)], {}, 1, 47],
    ['up to half a header', [getPage, getPage.subarray(0, 3)], {}, 1, 47],
    ['up to another message', [getPage, copyDone, getPage], {}, 1, 47],
    ['not another message', [copyDone], {}, 0, 0],
    ['up to the limit of requests', [getPage, getPage, getPage], { requestsMax: 2 }, 2, 94],
    ['up to the limit of reply bytes', [getPage, getPage, getPage], { replyBytesMax: 2 * 8239 }, 2, 94],
    ['one beyond the limit of reply bytes', [slru, slru], { replyBytesMax: 1 }, 1, 35],
    ['up to a bad length', [getPage, huge], {}, 1, 47],
    ['an empty one', [Buffer.from('d\0\0\0\x04'), getPage], {}, 2, 52],
  ];
  test.each(cases)('%s', (_name, frames, changed, requests, bytes) => {
    const before = Buffer.from('xyz');
    const all = Buffer.concat([before, ...frames]);
    expect(takePagestreamFrames(all, 3, all.length, { ...limits, ...changed })).toMatchObject({
      requests,
      bytes,
    });
  });

  test('reply bytes are enough for pages and segments', () => {
    const all = Buffer.concat([getPage, slru]);
    const { replyBytes } = takePagestreamFrames(all, 0, all.length, limits);
    expect(replyBytes).toBe(5 + 8234 + 5 + 34 + 32 * 8192);
  });

  test('a bad length is reported when nothing is before it', () => {
    expect(() => takePagestreamFrames(huge, 0, huge.length, limits)).toThrow('2147483647 bytes');
  });
});

test('the offset behind some frames', () => {
  const frames = Buffer.concat([getPage, slru, getPage]);
  expect([0, 1, 2, 3, 4].map((count) => offsetOfFrame(frames, count))).toEqual([0, 47, 82, 129, 129]);
});

test.each([
  [2, '64 0000000b 67 676f6e6520 00'],
  [3, '64 00000023 67 0000126700000000ffffffffffffffff00000000016b5a50 676f6e6520 00'],
] as const)('an error in the stream, version %i', (version, expected) => {
  const frame =
    version === 3 ? getPage : pagestreamRequestFrame(2, header, { kind: 'GetPage', rel, block: 1 });
  expect(pagestreamErrorFrame(version, frame, 'gone\0').toString('hex')).toBe(expected.replaceAll(' ', ''));
});

test('an error for a request too short to have a header', () => {
  expect(pagestreamErrorFrame(3, Buffer.from('d\0\0\0\x05\x02'), 'x').length).toBe(5 + 1 + 24 + 2);
});
