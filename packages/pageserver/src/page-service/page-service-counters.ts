import { FRAME_HEADER_BYTES, frameLengthField } from '@offshoot/wire';

/** Requests by what they ask for. */
export const REQUEST_NAMES = [
  'exists',
  'nblocks',
  'get_page',
  'db_size',
  'get_slru_segment',
  'unknown',
] as const;
export type RequestName = (typeof REQUEST_NAMES)[number];

/** What happened since the start; all but `connectionsOpen` only grow. */
export class PageServiceCounters {
  connectionsOpen = 0;
  connectionsAccepted = 0;
  connectionsRefused = 0;
  bytesReceived = 0;
  bytesSent = 0;
  /** Requests handed to the engine, by kind. */
  readonly requests: Record<RequestName, number> = {
    exists: 0,
    nblocks: 0,
    get_page: 0,
    db_size: 0,
    get_slru_segment: 0,
    unknown: 0,
  };
  /** Commands begun, by name. */
  readonly commands: Record<string, number> = {};
  /** Errors that clients were told, by code, save those that the engine put into its replies. */
  readonly errors: Record<string, number> = {};

  countCommand(name: string): void {
    this.commands[name] = (this.commands[name] ?? 0) + 1;
  }

  countError(code: string, times = 1): void {
    this.errors[code] = (this.errors[code] ?? 0) + times;
  }

  /** Counts whole CopyData messages by their tags. */
  countRequests(frames: Uint8Array): void {
    for (let at = 0; at < frames.length; at += frameLengthField(frames, at) + 1) {
      const tag = frameLengthField(frames, at) > 4 ? (frames[at + FRAME_HEADER_BYTES] as number) : -1;
      this.requests[REQUEST_NAMES[tag] ?? 'unknown'] += 1;
    }
  }
}
