/** Tags of requests and responses. */
export const PagestreamTag = {
  Exists: 0,
  Nblocks: 1,
  GetPage: 2,
  DbSize: 3,
  GetSlruSegment: 4,
  ExistsResponse: 100,
  NblocksResponse: 101,
  GetPageResponse: 102,
  ErrorResponse: 103,
  DbSizeResponse: 104,
  GetSlruSegmentResponse: 105,
} as const;

/** Bytes of a page. */
export const BLCKSZ = 8192;

/** Bytes of a request's header by version: [request id u64,] request_lsn u64, not_modified_since u64. */
export const requestHeaderBytes = { 2: 16, 3: 24 } as const;

/** Tag, header, kind u8, segment u32, page count u32 and 32 pages. */
export const slruSegmentReplyBytesMax = 1 + 24 + 5 + 4 + 32 * BLCKSZ;
