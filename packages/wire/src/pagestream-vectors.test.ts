import { readFileSync } from 'node:fs';
import { parseLsn } from '@offshoot/types';
import { describe, expect, test } from 'vitest';
import { offsetOfFrame, pagestreamErrorFrame } from './pagestream-frames.js';
import { type PagestreamRequest, pagestreamRequestFrame, type RelationFork } from './pagestream-request.js';
import { parsePagestreamResponse } from './pagestream-response.js';

interface Case {
  name: PagestreamRequest['kind'];
  version: 2 | 3;
  header: { requestId?: string; requestLsn: string; notModifiedSince: string };
  parameters: { rel?: RelationFork; block?: number; dbnode?: number; kind?: number; segno?: number };
  request: string;
  responses: { kind: string; value: unknown; body: { hex: string; times: number }[] }[];
}

const file = new URL('../../../test/vectors/pagestream.json', import.meta.url);
const { cases } = JSON.parse(readFileSync(file, 'utf8')) as { cases: Case[] };

const bodyOf = (parts: { hex: string; times: number }[]) =>
  Buffer.from(parts.map(({ hex, times }) => hex.repeat(times)).join(''), 'hex');

function requestOf({ name, parameters }: Case): PagestreamRequest {
  const {
    rel = { spcnode: 0, dbnode: 0, relnode: 0, fork: 0 },
    block = 0,
    dbnode = 0,
    segno = 0,
  } = parameters;
  switch (name) {
    case 'DbSize':
      return { kind: name, dbnode };
    case 'GetSlruSegment':
      return { kind: name, slruKind: parameters.kind ?? 0, segno };
    case 'GetPage':
      return { kind: name, rel, block };
    default:
      return { kind: name, rel };
  }
}

function headerOf({ header }: Case) {
  return {
    requestId: BigInt(header.requestId ?? 0),
    requestLsn: parseLsn(header.requestLsn),
    notModifiedSince: parseLsn(header.notModifiedSince),
  };
}

/** The result as the vectors write it. */
function resultOf(response: ReturnType<typeof parsePagestreamResponse>): unknown {
  switch (response.kind) {
    case 'Exists':
      return response.exists;
    case 'Nblocks':
      return response.blocks;
    case 'DbSize':
      return response.bytes;
    case 'GetPage':
      return response.page.length;
    case 'GetSlruSegment':
      return response.pages.length;
    case 'Error':
      return response.message;
  }
}

describe.each(cases.map((one) => [one.name, one.version, one] as const))(
  '%s, version %i',
  (_name, version, one) => {
    const frame = pagestreamRequestFrame(version, headerOf(one), requestOf(one));

    test('its request', () => {
      expect(frame.subarray(5).toString('hex')).toBe(one.request);
      expect(offsetOfFrame(frame, 1)).toBe(frame.length);
    });

    test.each(one.responses.map((response) => [response.kind, response] as const))(
      'response %s',
      (kind, response) => {
        const body = bodyOf(response.body);
        const parsed = parsePagestreamResponse(version, body);
        expect(parsed.kind).toBe(kind);
        const echoed = kind === 'Error' ? 24 : frame.length - 6;
        expect(Buffer.from(parsed.echo).equals(frame.subarray(6, 6 + (version === 3 ? echoed : 0)))).toBe(
          true,
        );
        if (kind !== 'GetPage' && kind !== 'GetSlruSegment') {
          expect(String(resultOf(parsed))).toBe(String(response.value));
        }
        expect(() => parsePagestreamResponse(version, Buffer.concat([body, Buffer.of(1)]))).toThrow();
        expect(() => parsePagestreamResponse(version, body.subarray(0, -1))).toThrow();
      },
    );

    test('an error written by the page service', () => {
      const error = one.responses.find(({ kind }) => kind === 'Error');
      const written = pagestreamErrorFrame(version, frame, String(error?.value));
      expect(written.subarray(5).toString('hex')).toBe(bodyOf(error?.body ?? []).toString('hex'));
    });
  },
);
