import { BLCKSZ, PagestreamTag, requestHeaderBytes } from './pagestream-layout.js';
import { wireError } from './wire-error.js';

/** The result part of a response. `echo` is what version 3 repeats of the request, without its tag. */
export type PagestreamResponse = { readonly echo: Uint8Array } & (
  | { readonly kind: 'Exists'; readonly exists: boolean }
  | { readonly kind: 'Nblocks'; readonly blocks: number }
  | { readonly kind: 'GetPage'; readonly page: Uint8Array }
  | { readonly kind: 'DbSize'; readonly bytes: bigint }
  | { readonly kind: 'GetSlruSegment'; readonly pages: Uint8Array }
  | { readonly kind: 'Error'; readonly message: string }
);

type Kind = PagestreamResponse['kind'];

const KINDS: ReadonlyMap<number, { kind: Kind; parameterBytes: number }> = new Map([
  [PagestreamTag.ExistsResponse, { kind: 'Exists', parameterBytes: 13 }],
  [PagestreamTag.NblocksResponse, { kind: 'Nblocks', parameterBytes: 13 }],
  [PagestreamTag.GetPageResponse, { kind: 'GetPage', parameterBytes: 17 }],
  [PagestreamTag.ErrorResponse, { kind: 'Error', parameterBytes: 0 }],
  [PagestreamTag.DbSizeResponse, { kind: 'DbSize', parameterBytes: 4 }],
  [PagestreamTag.GetSlruSegmentResponse, { kind: 'GetSlruSegment', parameterBytes: 5 }],
]);

/** Reads a response from a CopyData body. Throws `protocol_violation` when it is not exactly one. */
export function parsePagestreamResponse(version: 2 | 3, body: Uint8Array): PagestreamResponse {
  const known = KINDS.get(body[0] ?? -1);
  const echoBytes = version === 3 && known ? requestHeaderBytes[3] + known.parameterBytes : 0;
  if (known === undefined || body.length < 1 + echoBytes) {
    throw wireError('protocol_violation', 'unknown or truncated pagestream response');
  }
  const rest = body.subarray(1 + echoBytes);
  return { echo: body.subarray(1, 1 + echoBytes), ...parseResult(known.kind, rest) };
}

/** A union's members each keep their own fields when one field is left out. */
type Result = PagestreamResponse extends infer R ? (R extends unknown ? Omit<R, 'echo'> : never) : never;

function parseResult(kind: Kind, rest: Uint8Array): Result {
  const view = new DataView(rest.buffer, rest.byteOffset, rest.byteLength);
  switch (kind) {
    case 'Exists':
      requireLength(rest, 1);
      return { kind, exists: rest[0] !== 0 };
    case 'Nblocks':
      requireLength(rest, 4);
      return { kind, blocks: view.getUint32(0) };
    case 'GetPage':
      requireLength(rest, BLCKSZ);
      return { kind, page: rest };
    case 'DbSize':
      requireLength(rest, 8);
      return { kind, bytes: view.getBigInt64(0) };
    case 'GetSlruSegment': {
      const blocks = rest.length < 4 ? 0 : view.getUint32(0);
      requireLength(rest, 4 + blocks * BLCKSZ);
      return { kind, pages: rest.subarray(4) };
    }
    case 'Error':
      if (rest.indexOf(0) !== rest.length - 1) {
        throw wireError(
          'protocol_violation',
          'the text of an error response does not end where the response ends',
        );
      }
      return { kind, message: new TextDecoder().decode(rest.subarray(0, -1)) };
  }
}

function requireLength(rest: Uint8Array, bytes: number): void {
  if (rest.length !== bytes) {
    throw wireError(
      'protocol_violation',
      `pagestream response with ${rest.length} bytes of result, not ${bytes}`,
    );
  }
}
