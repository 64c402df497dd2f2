import type { Lsn } from '@offshoot/types';
import { FrontendType } from './frontend-frame.js';
import { PagestreamTag, requestHeaderBytes } from './pagestream-layout.js';

/** A relation fork. */
export interface RelationFork {
  readonly spcnode: number;
  readonly dbnode: number;
  readonly relnode: number;
  /** 0 main, 1 fsm, 2 vm, 3 init. */
  readonly fork: number;
}

/** The version of a thing that a request asks for. */
export interface RequestHeader {
  /** Chosen by the client and echoed; version 3 only. */
  readonly requestId?: bigint;
  readonly requestLsn: Lsn;
  /** Promise of the client: nothing changed after this LSN up to `requestLsn`. */
  readonly notModifiedSince: Lsn;
}

export type PagestreamRequest =
  | { readonly kind: 'Exists' | 'Nblocks'; readonly rel: RelationFork }
  | { readonly kind: 'GetPage'; readonly rel: RelationFork; readonly block: number }
  | { readonly kind: 'DbSize'; readonly dbnode: number }
  | { readonly kind: 'GetSlruSegment'; readonly slruKind: number; readonly segno: number };

/** A CopyData message with one request: for clients, that is tests, benches and tools. */
export function pagestreamRequestFrame(
  version: 2 | 3,
  header: RequestHeader,
  request: PagestreamRequest,
): Buffer {
  const parameters = parameterBytes(request);
  const frame = Buffer.alloc(6 + requestHeaderBytes[version] + parameters.length);
  frame[0] = FrontendType.CopyData;
  let at = frame.writeUInt32BE(frame.length - 1, 1);
  at = frame.writeUInt8(PagestreamTag[request.kind], at);
  if (version === 3) {
    at = frame.writeBigUInt64BE(header.requestId ?? 0n, at);
  }
  at = frame.writeBigUInt64BE(header.requestLsn, at);
  at = frame.writeBigUInt64BE(header.notModifiedSince, at);
  frame.set(parameters, at);
  return frame;
}

function parameterBytes(request: PagestreamRequest): Buffer {
  switch (request.kind) {
    case 'Exists':
    case 'Nblocks':
      return relationBytes(request.rel);
    case 'GetPage':
      return Buffer.concat([relationBytes(request.rel), uint32(request.block)]);
    case 'DbSize':
      return uint32(request.dbnode);
    case 'GetSlruSegment':
      return Buffer.concat([Buffer.from([request.slruKind]), uint32(request.segno)]);
  }
}

function relationBytes({ spcnode, dbnode, relnode, fork }: RelationFork): Buffer {
  return Buffer.concat([uint32(spcnode), uint32(dbnode), uint32(relnode), Buffer.from([fork])]);
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}
