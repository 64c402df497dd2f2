import { FRAME_HEADER_BYTES, FrontendType, frameBytes, frameLengthField } from './frontend-frame.js';
import { PagestreamTag, requestHeaderBytes, slruSegmentReplyBytesMax } from './pagestream-layout.js';

/** How much of a stream may be taken in one go. */
export interface PagestreamTakeLimits {
  readonly requestsMax: number;
  /** Bound of the replies' bytes, as `replyBytesMax` counts them. The first request is taken in any case. */
  readonly replyBytesMax: number;
  /** Bound of a frame's length field. */
  readonly frameBytesMax: number;
}

/** Whole CopyData messages at the front of a buffer. */
export interface PagestreamTake {
  readonly requests: number;
  /** Length of the messages together. */
  readonly bytes: number;
  /** The most bytes that their replies can have. */
  readonly replyBytes: number;
}

/**
 * Counts the whole CopyData messages in `bytes[start]` to `bytes[end - 1]` up to the first other message or a limit.
 * Looks at headers and tags only. Throws `protocol_violation` for a bad header only when it is the first: what
 * came before it can still be served.
 */
export function takePagestreamFrames(
  bytes: Uint8Array,
  start: number,
  end: number,
  limits: PagestreamTakeLimits,
): PagestreamTake {
  let at = start;
  let requests = 0;
  let replyBytes = 0;
  while (requests < limits.requestsMax && at < end && bytes[at] === FrontendType.CopyData) {
    const length =
      requests === 0
        ? frameBytes(bytes, at, end, limits.frameBytesMax)
        : laterFrameBytes(bytes, at, end, limits);
    if (length === 0 || length > end - at) {
      break;
    }
    const reply = replyBytesMax(bytes[at + FRAME_HEADER_BYTES], length);
    if (requests > 0 && replyBytes + reply > limits.replyBytesMax) {
      break;
    }
    at += length;
    replyBytes += reply;
    requests++;
  }
  return { requests, bytes: at - start, replyBytes };
}

/** As `frameBytes`, but 0 for a bad length: it is reported when its turn has come. */
function laterFrameBytes(bytes: Uint8Array, at: number, end: number, limits: PagestreamTakeLimits): number {
  if (end - at < FRAME_HEADER_BYTES) {
    return 0;
  }
  const length = frameLengthField(bytes, at);
  return length < 4 || length > limits.frameBytesMax ? 0 : length + 1;
}

const REPLY_BYTES_SMALL = 1024;
const REPLY_BYTES_PAGE = FRAME_HEADER_BYTES + 8234;

/** The most bytes, framing included, that the reply to a request with this tag can have; error texts are short. */
function replyBytesMax(tag: number | undefined, requestBytes: number): number {
  switch (tag) {
    case PagestreamTag.GetPage:
      return REPLY_BYTES_PAGE;
    case PagestreamTag.GetSlruSegment:
      return FRAME_HEADER_BYTES + slruSegmentReplyBytesMax;
    default:
      return REPLY_BYTES_SMALL + requestBytes;
  }
}

/** Where the frame behind the first `count` whole frames of `frames` begins. */
export function offsetOfFrame(frames: Uint8Array, count: number): number {
  let at = 0;
  for (let passed = 0; passed < count && at < frames.length; passed++) {
    at += frameLengthField(frames, at) + 1;
  }
  return at;
}

/**
 * The CopyData message with the Error response to the request whose frame is given. Version 3 echoes the request's
 * header, so the frame must hold one; a shorter one is echoed with zeros.
 */
export function pagestreamErrorFrame(version: 2 | 3, requestFrame: Uint8Array, text: string): Buffer {
  const echoed = version === 3 ? requestHeaderBytes[3] : 0;
  const message = Buffer.from(text.replaceAll('\0', ' '));
  const frame = Buffer.alloc(FRAME_HEADER_BYTES + 1 + echoed + message.length + 1);
  frame[0] = FrontendType.CopyData;
  frame.writeUInt32BE(frame.length - 1, 1);
  frame[FRAME_HEADER_BYTES] = PagestreamTag.ErrorResponse;
  const header = requestFrame.subarray(FRAME_HEADER_BYTES + 1, FRAME_HEADER_BYTES + 1 + echoed);
  frame.set(header, FRAME_HEADER_BYTES + 1);
  frame.set(message, FRAME_HEADER_BYTES + 1 + echoed);
  return frame;
}
